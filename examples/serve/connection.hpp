#pragma once

#include <chrono>
#include <optional>

#include "http_server.hpp"

namespace service {

/// One client's connection: reads a request, answers it, and so on until one of them has enough.
class Connection {
 public:
  /// ticket: its place, kept to its end. is_refused: there are too many connections; its first
  /// request is answered by 503, and that was it.
  static asio::awaitable<void> serve(Shared& shared, EventLoop& loop, tcp::socket socket,
                                     Admission::Ticket ticket, bool is_refused);

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// To be called every few milliseconds: ends what takes too long.
  void check_deadline();
  /// Ends it unless there is, or has come in, a part of a request.
  void close_if_idle();
  /// Ends it.
  void close();

 private:
  using Parser = http::request_parser<http::string_body>;
  using Clock = std::chrono::steady_clock;
  enum class State { kIdle, kReading, kAnswering };

  Connection(Shared& shared, EventLoop& loop, tcp::socket socket, bool is_refused);
  ~Connection();

  /// What is awaited next may take so long, together with what follows.
  void allow(std::chrono::milliseconds time) {
    deadline_ = Clock::now() + time;
    is_late_ = false;
  }

  asio::awaitable<void> run();
  /// The next request; an answer instead where it cannot be had. Neither: the client left.
  asio::awaitable<bool> read(Parser& parser, std::optional<Answer>& failure);
  asio::awaitable<Answer> answer(const Request& request);
  /// false: the client is gone.
  asio::awaitable<bool> write(http::response<http::string_body>& response);
  /// A socket closed over unread bytes resets the connection, and the client may lose an answer
  /// that is already on its way: reads what comes until the client has closed too.
  asio::awaitable<void> part();

  Shared& shared_;
  EventLoop& loop_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  bool is_refused_;
  State state_ = State::kIdle;
  // Not Beast's own timeouts: they close the socket, where 408 has still to be said.
  Clock::time_point deadline_ = Clock::time_point::max();
  bool is_late_ = false;  ///< the deadline has passed, and what was awaited was called off
};

}  // namespace service
