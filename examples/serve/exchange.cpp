#include "exchange.hpp"

#include "json_text.hpp"

namespace service {

Answer error_answer(unsigned status, std::string_view message) {
  Answer answer;
  answer.status = status;
  answer.body = "{\"error\":";
  append_text(answer.body, message);
  answer.body += "}\n";
  return answer;
}

}  // namespace service
