#pragma once

#include <string>

#include "ecseq/core/matrix.hpp"

namespace ecseq {

/// "1 column", "2 columns", for messages.
inline std::string columns_text(Index n) {
  return std::to_string(n) + (n == 1 ? " column" : " columns");
}

}  // namespace ecseq
