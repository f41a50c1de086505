#pragma once

#include <string_view>

namespace ecseq {

/// What the library that runs was compiled for: "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2),
/// "x86-64-v2", "x86-64", or "default" on other processors.
std::string_view instruction_set();

}  // namespace ecseq
