#pragma once

#include <string>
#include <string_view>

namespace service {

/// One request as its handler sees it. Owns nothing.
struct Request {
  std::string_view method;  ///< "GET", "POST", ..
  std::string_view path;    ///< without what follows a question mark
  std::string_view body;
};

struct Answer {
  unsigned status = 200;
  std::string body;
  std::string type = "application/json";
  std::string allow;  ///< methods, for status 405
};

/// {"error": message}
Answer error_answer(unsigned status, std::string_view message);

/// What an HTTP server serves. Called from several threads at once.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Whether `answer` may take longer than others should have to wait for it.
  virtual bool is_slow(const Request& request) const = 0;
  virtual Answer answer(const Request& request) = 0;
  /// After each answer, also those that the server gave on its own account (path empty where the
  /// request was not understood). seconds: from its last byte read to the answer made.
  virtual void answered(std::string_view path, unsigned status, double seconds) = 0;
};

}  // namespace service
