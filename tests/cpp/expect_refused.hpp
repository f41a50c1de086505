#pragma once

#include <gtest/gtest.h>

#include <string>

#include "ecseq/core/error.hpp"

namespace ecseq::testing {

/// Expects `call` to throw InvalidArgument with exactly this message.
template <class Call>
void expect_refused(Call call, const std::string& message) {
  try {
    call();
    ADD_FAILURE() << "accepted; expected: " << message;
  } catch (const InvalidArgument& error) {
    EXPECT_EQ(error.what(), message);
  }
}

}  // namespace ecseq::testing
