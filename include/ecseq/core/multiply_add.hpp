#pragma once

#include <cmath>

namespace ecseq {

/// a b + c, rounded once where the instruction set can, as kernels::fma of one lane. Written out
/// where bits matter: which products the compiler contracts must not depend on what stands around.
template <class Scalar>
Scalar multiply_add(Scalar a, Scalar b, Scalar c) {
#ifdef __FMA__
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace ecseq
