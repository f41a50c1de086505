#include "http_server.hpp"

#include <cstdio>
#include <exception>

#include "connection.hpp"

namespace service {
namespace {

/// For clients beyond even those that are being refused in form.
constexpr char kRefusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    "Connection: close\r\n\r\n";

/// Before the next attempt where a connection cannot be taken, being out of file descriptors.
constexpr std::chrono::milliseconds kAcceptAgain{20};

/// How exactly deadlines are kept.
constexpr std::chrono::milliseconds kTick{20};

void report(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& reason) {
    std::fprintf(stderr, "serve: a connection ended: %s\n", reason.what());
  }
}

std::vector<std::unique_ptr<EventLoop>> make_loops(int threads) {
  std::vector<std::unique_ptr<EventLoop>> loops;
  for (int t = 0; t < threads; ++t) loops.push_back(std::make_unique<EventLoop>());
  return loops;
}

}  // namespace

HttpServer::HttpServer(const HttpOptions& options, Handler& handler)
    : shared_(options, handler),
      loops_(make_loops(options.threads)),
      acceptor_(loops_[0]->io,
                tcp::endpoint(asio::ip::make_address(options.address), options.port)) {
  asio::co_spawn(loops_[0]->io, listen(), report);
  for (auto& loop : loops_) {
    asio::co_spawn(loop->io, watch_deadlines(*loop), report);
    loop->thread = std::thread([io = &loop->io] { io->run(); });
  }
}

HttpServer::~HttpServer() { stop(); }

asio::awaitable<void> HttpServer::listen() {
  asio::steady_timer pause(loops_[0]->io);
  for (std::size_t next = 0; !shared_.stopping; next = (next + 1) % loops_.size()) {
    error_code error;
    tcp::socket socket = co_await acceptor_.async_accept(loops_[next]->io, into(error));
    if (!error) {
      welcome(std::move(socket), *loops_[next]);
    } else if (!shared_.stopping) {
      pause.expires_after(kAcceptAgain);
      co_await pause.async_wait(into(error));
    }
  }
}

asio::awaitable<void> HttpServer::watch_deadlines(EventLoop& loop) {
  asio::steady_timer tick(loop.io);
  error_code error;
  while (!shared_.ended) {
    tick.expires_after(kTick);
    co_await tick.async_wait(into(error));
    for (Connection* connection : loop.connections) connection->check_deadline();
  }
}

void HttpServer::welcome(tcp::socket socket, EventLoop& loop) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  auto place = shared_.connections.try_enter();
  const bool is_refused = !place;
  if (is_refused) place = shared_.refused_connections.try_enter();
  if (!place) {
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kRefusal, sizeof kRefusal - 1), ignored);
    shared_.handler.answered("", 503, 0.0);
    return;
  }
  asio::co_spawn(loop.io,
                 Connection::serve(shared_, loop, std::move(socket), std::move(*place), is_refused),
                 report);
}

void HttpServer::on_connections(void (Connection::*what)()) {
  for (auto& loop : loops_) {
    asio::post(loop->io, [loop = loop.get(), what] {
      for (Connection* connection : loop->connections) (connection->*what)();
    });
  }
}

void HttpServer::await_end(std::chrono::milliseconds most) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (shared_.connections.taken() + shared_.refused_connections.taken() > 0 &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void HttpServer::stop() {
  if (shared_.stopping.exchange(true)) return;
  asio::post(loops_[0]->io, [this] { acceptor_.close(); });
  await_end(shared_.options.drain);
  on_connections(&Connection::close_if_idle);
  await_end(shared_.options.stop);
  on_connections(&Connection::close);
  shared_.ended = true;
  for (auto& loop : loops_) loop->work.reset();
  for (auto& loop : loops_) loop->thread.join();
  shared_.slow_pool.join();
}

}  // namespace service
