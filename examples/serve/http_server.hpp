#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "admission.hpp"
#include "asio.hpp"
#include "exchange.hpp"
#include "http_options.hpp"

namespace service {

class Connection;

/// A thread and the connections it serves; nothing of them is touched by another.
struct EventLoop {
  std::unordered_set<Connection*> connections;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::thread thread;
};

/// What the connections of a server share.
struct Shared {
  Shared(const HttpOptions& options_, Handler& handler_)
      : options(options_),
        handler(handler_),
        connections(options_.max_connections),
        refused_connections(options_.max_connections),
        in_flight(options_.max_in_flight),
        slow(options_.max_slow),
        slow_pool(static_cast<std::size_t>(options_.slow_threads)) {}

  const HttpOptions options;
  Handler& handler;
  Admission connections;
  Admission refused_connections;  ///< those that still have to be told
  Admission in_flight;
  Admission slow;
  asio::thread_pool slow_pool;
  std::atomic<bool> stopping{false};
  std::atomic<bool> ended{false};
};

/// HTTP/1.1 with keep-alive. Each connection is a coroutine on one of the threads; requests are
/// answered right there, slow ones in a pool of their own, and where there is more than the bounds
/// allow, at once by 503.
class HttpServer {
 public:
  /// Listens; throws where it cannot. handler: lives longer than the server.
  HttpServer(const HttpOptions& options, Handler& handler);
  ~HttpServer();  ///< stops

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::size_t connections() const { return shared_.connections.taken(); }
  std::size_t in_flight() const { return shared_.in_flight.taken() + shared_.slow.taken(); }

  /// Takes no more connections, answers what has come, and returns when all is said.
  void stop();

 private:
  asio::awaitable<void> listen();
  asio::awaitable<void> watch_deadlines(EventLoop& loop);
  void welcome(tcp::socket socket, EventLoop& loop);
  /// Waits at most so long until there are no connections.
  void await_end(std::chrono::milliseconds most);
  /// Runs `what` of every connection, on its thread.
  void on_connections(void (Connection::*what)());

  Shared shared_;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  tcp::acceptor acceptor_;
};

}  // namespace service
