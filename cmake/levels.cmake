# Instruction-set levels. v1 .. v4 are the x86-64 levels of the System V psABI; "base" is the
# compiler's default, the only level on other processors.

include(CheckCXXSourceCompiles)

# The highest level the building machine can run, as the compiler reads it from the CPU.
function(ecseq_native_level out)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set(${out} base PARENT_SCOPE)
    return()
  endif()
  set(v2 __SSE4_2__ __POPCNT__ __SSSE3__ __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
  set(v3 __AVX2__ __BMI__ __BMI2__ __F16C__ __FMA__ __LZCNT__ __MOVBE__)
  set(v4 __AVX512F__ __AVX512BW__ __AVX512CD__ __AVX512DQ__ __AVX512VL__)
  set(CMAKE_REQUIRED_FLAGS -march=native)
  set(CMAKE_REQUIRED_QUIET ON)
  set(best v1)
  foreach(level IN ITEMS v2 v3 v4)
    list(TRANSFORM ${level} REPLACE "(.+)" "!defined(\\1)" OUTPUT_VARIABLE missing)
    list(JOIN missing " || " missing)
    check_cxx_source_compiles("
      #if ${missing}
      #error missing
      #endif
      int main() {}" ECSEQ_NATIVE_IS_${level})
    if(NOT ECSEQ_NATIVE_IS_${level})
      break()
    endif()
    set(best ${level})
  endforeach()
  set(${out} ${best} PARENT_SCOPE)
endfunction()

# The compiler's option for a level ("v3"), for a value of ECSEQ_ARCH ("x86-64-v3", "native",
# "best"), or nothing for "base" and "default".
function(ecseq_march level out)
  if(level STREQUAL "best")
    ecseq_native_level(level)
  endif()
  if(level MATCHES "^(base|default)$")
    set(${out} "" PARENT_SCOPE)
  elseif(level STREQUAL "v1")
    set(${out} -march=x86-64 PARENT_SCOPE)
  elseif(level MATCHES "^v[234]$")
    set(${out} -march=x86-64-${level} PARENT_SCOPE)
  else()
    set(${out} -march=${level} PARENT_SCOPE)
  endif()
endfunction()
