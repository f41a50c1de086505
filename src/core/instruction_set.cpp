#include "ecseq/core/instruction_set.hpp"

namespace ecseq {

std::string_view instruction_set() {
#if defined(__AVX512F__) && defined(__AVX512VL__)
  return "x86-64-v4";
#elif defined(__AVX2__) && defined(__FMA__)
  return "x86-64-v3";
#elif defined(__SSE4_2__)
  return "x86-64-v2";
#elif defined(__x86_64__)
  return "x86-64";
#else
  return "default";
#endif
}

}  // namespace ecseq
