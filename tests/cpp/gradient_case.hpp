#pragma once

// The gradient tests of all operations. tests/gradients/list_operations.py finds the operations in
// the headers and calls the case of each; one that is missing is an undefined reference.

#include <gtest/gtest.h>

#include "gradient_check.hpp"

namespace ecseq::testing {

/// Compares the gradients of `Op` with finite differences (`expect_gradients`), in every form its
/// free functions offer. No general definition: each operation has its own.
template <template <class...> class Op>
void gradient_case();

/// Fails also where the case compares nothing.
inline void expect_case(void (*run)()) {
  const Index before = compared_elements();
  run();
  EXPECT_GT(compared_elements(), before) << "the case compares no gradient";
}

}  // namespace ecseq::testing

/// Declares or, followed by a body in namespace ecseq, defines the case of an operation.
#define ECSEQ_GRADIENT_CASE(Op) \
  template <>                   \
  void ::ecseq::testing::gradient_case<Op>()
