#include "ecseq/core/require.hpp"

#include <algorithm>

#include "ecseq/core/error.hpp"

namespace ecseq {

void require_one_of(const char* name, const std::string& value,
                    std::initializer_list<std::string_view> valid) {
  if (std::find(valid.begin(), valid.end(), value) != valid.end()) return;
  std::string list;
  for (const auto word : valid) {
    list += list.empty() ? "'" : ", '";
    list += word;
    list += '\'';
  }
  throw InvalidArgument(std::string(name) + ": '" + value + "' is not one of " + list);
}

void require_at_least(const char* name, Index value, Index minimum) {
  if (value >= minimum) return;
  throw InvalidArgument(std::string(name) + ": expected at least " + std::to_string(minimum) +
                        ", got " + std::to_string(value));
}

}  // namespace ecseq
