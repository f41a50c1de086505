#include "connection.hpp"

#include <string>

namespace service {
namespace {

using Response = http::response<http::string_body>;

constexpr std::chrono::milliseconds kParting{1000};

Answer failure_of(const error_code& error) {
  if (error == http::error::header_limit) return error_answer(431, "header: too long");
  if (error == http::error::body_limit) return error_answer(413, "body: too long");
  return error_answer(400, "not HTTP: " + error.message());
}

Answer overloaded(const char* what) { return error_answer(503, what); }

std::string_view text(beast::string_view view) { return {view.data(), view.size()}; }

Response response_of(Answer& answer, unsigned version, bool is_head) {
  Response response(static_cast<http::status>(answer.status), version);
  response.set(http::field::content_type, answer.type);
  if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
  if (answer.status == 503) response.set(http::field::retry_after, "1");
  response.content_length(answer.body.size());
  if (!is_head) response.body() = std::move(answer.body);
  return response;
}

Request request_of(const http::request<http::string_body>& message) {
  std::string_view path = text(message.target());
  return {text(message.method_string()), path.substr(0, path.find('?')), message.body()};
}

}  // namespace

asio::awaitable<void> Connection::serve(Shared& shared, EventLoop& loop, tcp::socket socket,
                                        [[maybe_unused]] Admission::Ticket ticket,
                                        bool is_refused) {
  Connection connection(shared, loop, std::move(socket), is_refused);
  co_await connection.run();
}

Connection::Connection(Shared& shared, EventLoop& loop, tcp::socket socket, bool is_refused)
    : shared_(shared), loop_(loop), socket_(std::move(socket)), is_refused_(is_refused) {
  loop_.connections.insert(this);
}

Connection::~Connection() { loop_.connections.erase(this); }

void Connection::check_deadline() {
  if (Clock::now() < deadline_) return;
  deadline_ = Clock::time_point::max();
  is_late_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

void Connection::close_if_idle() {
  error_code error;
  if (state_ == State::kIdle && socket_.available(error) == 0) close();
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<void> Connection::run() {
  for (;;) {
    Parser parser;
    parser.eager(true);
    parser.header_limit(static_cast<std::uint32_t>(shared_.options.header_bytes));
    parser.body_limit(shared_.options.body_bytes);
    std::optional<Answer> result;
    if (!co_await read(parser, result)) co_return;
    const bool is_understood = !result;

    state_ = State::kAnswering;
    deadline_ = Clock::time_point::max();
    const auto begun = Clock::now();
    const auto& message = parser.get();
    const Request request = is_understood ? request_of(message) : Request{};
    if (is_understood) result = co_await answer(request);
    const std::chrono::duration<double> taken = Clock::now() - begun;
    shared_.handler.answered(request.path, result->status, taken.count());

    const bool keep_alive =
        is_understood && !is_refused_ && message.keep_alive() && !shared_.stopping;
    Response response = response_of(*result, message.version(), request.method == "HEAD");
    response.keep_alive(keep_alive);
    if (!co_await write(response)) co_return;
    if (!keep_alive) co_return co_await part();
    state_ = State::kIdle;
  }
}

asio::awaitable<bool> Connection::read(Parser& parser, std::optional<Answer>& failure) {
  error_code error;
  bool may_continue = true;
  allow(shared_.options.idle);
  for (;;) {
    if (buffer_.size() > 0) {
      buffer_.consume(parser.put(buffer_.data(), error));
      if (error && error != http::error::need_more) {
        failure = failure_of(error);
        co_return true;
      }
      if (parser.is_done()) co_return true;
      if (state_ == State::kIdle) {
        state_ = State::kReading;
        allow(shared_.options.transfer);
      }
      if (may_continue && parser.is_header_done() && parser.get()[http::field::expect] != "") {
        may_continue = false;
        http::response<http::empty_body> go_on(http::status::continue_, 11);
        co_await http::async_write(socket_, go_on, into(error));
        if (error) co_return false;
      }
    }
    const auto space = buffer_.prepare(beast::read_size(buffer_, 1 << 16));
    buffer_.commit(co_await socket_.async_read_some(space, into(error)));
    if (!error) continue;
    if (is_late_ && state_ == State::kReading) {
      failure = error_answer(408, "the request took too long to arrive");
      co_return true;
    }
    co_return false;
  }
}

asio::awaitable<Answer> Connection::answer(const Request& request) {
  if (is_refused_) co_return overloaded("too many connections");
  const bool is_slow = shared_.handler.is_slow(request);
  const auto ticket = (is_slow ? shared_.slow : shared_.in_flight).try_enter();
  if (!ticket) co_return overloaded("too many requests at once");
  if (is_slow) {
    co_return co_await asio::co_spawn(
        shared_.slow_pool.get_executor(),
        [&]() -> asio::awaitable<Answer> { co_return shared_.handler.answer(request); },
        asio::use_awaitable);
  }
  // To the end of this thread's queue: first every request that has come is read, and refused where
  // there are too many, so that a refusal does not wait for the work of others.
  co_await asio::post(asio::use_awaitable);
  co_return shared_.handler.answer(request);
}

asio::awaitable<bool> Connection::write(Response& response) {
  error_code error;
  allow(shared_.options.transfer);
  co_await http::async_write(socket_, response, into(error));
  co_return !error;
}

asio::awaitable<void> Connection::part() {
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  if (error) co_return;
  allow(kParting);
  char ignored[4096];
  while (!error) co_await socket_.async_read_some(asio::buffer(ignored), into(error));
}

}  // namespace service
