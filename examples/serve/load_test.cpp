// Load on the service as many independent clients would make it: open loop, that is, events come
// at a given rate (Poisson) whether or not the service keeps up, and an event's latency counts from
// the moment it should have been sent. One thread.
//
//   ecseq_load_test --port 8080 --rate 20000 --seconds 60 --connections 64 --features 5
//
// Ends with 1 where a request hung or a connection broke.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "asio.hpp"
#include "latency_histogram.hpp"

namespace {

using namespace service;
using Clock = std::chrono::steady_clock;

struct LoadOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;
  double rate = 20000;  // requests per second
  double seconds = 30;
  int connections = 64;
  int batch = 1;  // events per request
  std::uint64_t users = 1000000;
  std::uint64_t terminals = 100000;
  int features = 3;
  std::vector<std::string> entities;
  double timeout = 5;
  unsigned seed = 1;
};

struct Result {
  std::map<unsigned, std::uint64_t> by_code;
  LatencyHistogram from_schedule;  // of answers with code 200
  LatencyHistogram from_sending;
  LatencyHistogram refusals;      // from sending, of answers with code 503
  std::uint64_t unsent = 0;       // no connection free before the timeout, or by the end
  std::uint64_t hung = 0;         // sent, and no answer before the timeout
  std::uint64_t broken = 0;       // sent, and the connection ended without an answer
  std::uint64_t unconnected = 0;  // attempts to connect that failed
};

/// Requests of many users and terminals, made as they are sent.
class Requests {
 public:
  explicit Requests(const LoadOptions& options) : options_(options), random_(options.seed) {}

  std::chrono::nanoseconds gap() {
    const std::exponential_distribution<double>::param_type rate(options_.rate);
    return std::chrono::nanoseconds(static_cast<std::int64_t>(gap_(random_, rate) * 1e9));
  }

  void write(std::string& out) {
    body_.clear();
    if (options_.batch > 1) body_ += '[';
    for (int i = 0; i < options_.batch; ++i) {
      if (i > 0) body_ += ',';
      append_event();
    }
    if (options_.batch > 1) body_ += ']';
    out = "POST /event HTTP/1.1\r\nHost: " + options_.address +
          "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body_.size()) +
          "\r\n\r\n" + body_;
  }

 private:
  void append_event() {
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    char text[64];
    std::snprintf(text, sizeof text, "%.6f", now);
    body_ += "{\"user\":\"c" + std::to_string(random_() % options_.users) + "\",\"time\":" + text;
    body_ += ",\"values\":[";
    for (int k = 0; k < options_.features; ++k) {
      std::snprintf(text, sizeof text, "%s%.3f", k > 0 ? "," : "",
                    static_cast<double>(random_() % 4000) * 1e-3 - 2);
      body_ += text;
    }
    body_ += "],\"entities\":{";
    for (std::size_t e = 0; e < options_.entities.size(); ++e) {
      if (e > 0) body_ += ',';
      body_ += '"' + options_.entities[e] + "\":\"" +
               std::to_string(random_() % options_.terminals) + '"';
    }
    body_ += "}}";
  }

  const LoadOptions& options_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> gap_;
  std::string body_;
};

class Load;

/// A connection of the client, with at most one request on its way.
class Client {
 public:
  explicit Client(Load& load);
  void connect();
  void send(Clock::time_point scheduled);
  /// Gives up on a request that was sent before `moment`.
  void give_up_before(Clock::time_point moment);
  bool is_waiting() const { return sent_.has_value(); }
  void close();

 private:
  void receive();
  void on_answer(error_code error);
  void connect_later();

  Load& load_;
  tcp::socket socket_;
  asio::steady_timer pause_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::string request_;
  Clock::time_point scheduled_;
  std::optional<Clock::time_point> sent_;
};

class Load {
 public:
  explicit Load(const LoadOptions& options);
  const Result& run();

  void on_free(Client& client);

  const LoadOptions& options;
  asio::io_context io{1};
  tcp::endpoint server;
  Requests requests;
  Result result;
  bool is_over = false;

 private:
  void on_arrivals();
  void sweep();

  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Client*> free_;  // the longest unused first: none is left to idle until it is closed
  std::deque<Clock::time_point> waiting_;  // arrivals for which no connection is free yet
  Clock::time_point next_;
  Clock::time_point end_;
  asio::steady_timer arrival_{io};
  asio::steady_timer sweep_{io};
};

Client::Client(Load& load) : load_(load), socket_(load.io), pause_(load.io) {}

void Client::connect() {
  socket_ = tcp::socket(load_.io);
  socket_.async_connect(load_.server, [this](error_code error) {
    if (error) {
      if (load_.is_over) return;
      ++load_.result.unconnected;
      return connect_later();
    }
    socket_.set_option(tcp::no_delay(true));
    buffer_.clear();
    load_.on_free(*this);
  });
}

void Client::connect_later() {
  close();
  pause_.expires_after(std::chrono::seconds(1));  // what the service says in Retry-After
  pause_.async_wait([this](error_code error) {
    if (!error && !load_.is_over) connect();
  });
}

void Client::send(Clock::time_point scheduled) {
  scheduled_ = scheduled;
  sent_ = Clock::now();
  load_.requests.write(request_);
  asio::async_write(socket_, asio::buffer(request_), [this](error_code error, std::size_t) {
    // An answer may have come all the same, before the other side closed.
    if (error == asio::error::operation_aborted) return on_answer(error);
    receive();
  });
}

void Client::receive() {
  parser_.emplace();
  http::async_read(socket_, buffer_, *parser_,
                   [this](error_code error, std::size_t) { on_answer(error); });
}

void Client::on_answer(error_code error) {
  if (!sent_) return;  // given up
  const auto now = Clock::now();
  const auto taken = now - *sent_;
  sent_.reset();
  if (error) {
    ++load_.result.broken;
    return connect_later();
  }
  const auto& answer = parser_->get();
  ++load_.result.by_code[answer.result_int()];
  if (answer.result_int() == 200) {
    load_.result.from_schedule.add(now - scheduled_);
    load_.result.from_sending.add(taken);
  } else if (answer.result_int() == 503) {
    load_.result.refusals.add(taken);
  }
  if (!answer.keep_alive()) return connect_later();
  load_.on_free(*this);
}

void Client::give_up_before(Clock::time_point moment) {
  if (!sent_ || *sent_ >= moment) return;
  sent_.reset();
  ++load_.result.hung;
  connect_later();
}

void Client::close() {
  error_code ignored;
  pause_.cancel();
  socket_.close(ignored);
}

Load::Load(const LoadOptions& options_)
    : options(options_),
      server(asio::ip::make_address(options_.address), options_.port),
      requests(options_) {
  for (int c = 0; c < options.connections; ++c) clients_.push_back(std::make_unique<Client>(*this));
}

const Result& Load::run() {
  for (auto& client : clients_) client->connect();
  next_ = Clock::now() + std::chrono::milliseconds(200);  // until the connections are there
  end_ = next_ + std::chrono::nanoseconds(static_cast<std::int64_t>(options.seconds * 1e9));
  arrival_.expires_at(next_);
  arrival_.async_wait([this](error_code) { on_arrivals(); });
  sweep();
  io.run();
  return result;
}

void Load::on_arrivals() {
  const auto now = Clock::now();
  for (; next_ <= now && next_ < end_; next_ += requests.gap()) {
    if (free_.empty()) {
      waiting_.push_back(next_);
      continue;
    }
    Client* const client = free_.front();
    free_.pop_front();
    client->send(next_);
  }
  if (next_ >= end_) {
    is_over = true;
    return;
  }
  arrival_.expires_at(next_);
  arrival_.async_wait([this](error_code) { on_arrivals(); });
}

void Load::on_free(Client& client) {
  if (waiting_.empty()) {
    free_.push_back(&client);
    return;
  }
  const auto scheduled = waiting_.front();
  waiting_.pop_front();
  client.send(scheduled);
}

void Load::sweep() {
  const auto oldest =
      Clock::now() - std::chrono::nanoseconds(static_cast<std::int64_t>(options.timeout * 1e9));
  bool some_waiting = false;
  for (auto& client : clients_) {
    client->give_up_before(oldest);
    some_waiting |= client->is_waiting();
  }
  while (!waiting_.empty() && (is_over || waiting_.front() < oldest)) {
    ++result.unsent;
    waiting_.pop_front();
  }
  if (is_over && !some_waiting) {
    for (auto& client : clients_) client->close();
    return;
  }
  sweep_.expires_after(std::chrono::milliseconds(50));
  sweep_.async_wait([this](error_code) { sweep(); });
}

void print(const char* name, const LatencyHistogram& times) {
  if (times.count() == 0) return;
  std::printf("%-28s p50 %8.3f   p99 %8.3f   p99.9 %8.3f   longest %8.3f ms\n", name,
              1e3 * times.quantile(0.5), 1e3 * times.quantile(0.99), 1e3 * times.quantile(0.999),
              1e3 * times.longest());
}

int report(const LoadOptions& options, const Result& result) {
  const double answered = static_cast<double>(result.from_schedule.count());
  std::printf("asked for %.0f requests/s over %d connections, %d event(s) each, for %.0f s\n",
              options.rate, options.connections, options.batch, options.seconds);
  std::printf("scored %.0f events/s\n", answered * options.batch / options.seconds);
  for (const auto& [code, count] : result.by_code) {
    std::printf("code %u: %llu\n", code, static_cast<unsigned long long>(count));
  }
  print("200, from when it was due", result.from_schedule);
  print("200, from when it was sent", result.from_sending);
  print("503, from when it was sent", result.refusals);
  std::printf("never sent, no connection being free: %llu\n",
              static_cast<unsigned long long>(result.unsent));
  std::printf("hung %llu, broken %llu, failed to connect %llu\n",
              static_cast<unsigned long long>(result.hung),
              static_cast<unsigned long long>(result.broken),
              static_cast<unsigned long long>(result.unconnected));
  return result.hung + result.broken > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  LoadOptions options;
  CLI::App app("Posts events to a running ecseq_serve at a given rate.");
  app.option_defaults()->always_capture_default();
  app.add_option("--address", options.address);
  app.add_option("--port", options.port);
  app.add_option("--rate", options.rate, "requests per second")->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 60000));
  app.add_option("--batch", options.batch, "events per request")->check(CLI::Range(1, 1000));
  app.add_option("--users", options.users, "distinct users")->check(CLI::PositiveNumber);
  app.add_option("--terminals", options.terminals, "distinct entities of each kind")
      ->check(CLI::PositiveNumber);
  app.add_option("--features", options.features, "numbers of an event");
  app.add_option("--entities", options.entities, "names of the model's entities");
  app.add_option("--timeout", options.timeout, "seconds after which a request counts as hung");
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  try {
    return report(options, Load(options).run());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_test: %s\n", error.what());
    return 1;
  }
}
