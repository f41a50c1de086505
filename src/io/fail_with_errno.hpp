#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::io {

/// Throws FileError with what the system says of the call that has just failed.
[[noreturn]] inline void fail_with_errno(const std::string& path, const std::string& what) {
  const int error = errno;
  throw FileError(path + ": " + what + ": " + std::strerror(error));
}

}  // namespace ecseq::io
