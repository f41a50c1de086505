#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace service {

struct HttpOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;           ///< 0: any free one, see HttpServer::port
  int threads = 2;                     ///< each runs the connections that fall to it
  int slow_threads = 1;                ///< for what would keep other requests waiting
  std::size_t max_connections = 1024;  ///< the excess is answered once, by 503
  std::size_t max_in_flight = 128;     ///< requests read and not yet answered; the excess gets 503
  std::size_t max_slow = 16;           ///< of these, slow ones
  std::size_t header_bytes = 8 << 10;  ///< more: 431
  std::size_t body_bytes = 1 << 20;    ///< more: 413
  std::chrono::milliseconds idle{60000};     ///< a connection between two requests
  std::chrono::milliseconds transfer{5000};  ///< from a request's first byte to its last (then
                                             ///< 408); and for a client to take an answer
  /// After `stop`: how long idle connections may still bring a request, which is answered and told
  /// that it was the last; and when what is still open is cut off.
  std::chrono::milliseconds drain{500};
  std::chrono::milliseconds stop{10000};
};

}  // namespace service
