// ecseq._cpu: the highest x86-64 level (System V psABI, "Micro-Architecture Levels") that this
// processor and its operating system can run. Compiled without -march: it must run everywhere.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#include <initializer_list>
#endif

namespace {

#if defined(__x86_64__)

constexpr bool has(unsigned value, std::initializer_list<int> bits) {
  for (const int bit : bits) {
    if ((value >> bit & 1u) == 0) return false;
  }
  return true;
}

/// The register states the operating system saves on a context switch (XCR0).
std::uint64_t saved_states() {
  std::uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

const char* level() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return "v1";
  const unsigned basic = c;
  unsigned extended = 0;
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) extended = c;
  unsigned structured = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) structured = b;

  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF
  if (!has(basic, {0, 9, 13, 19, 20, 23}) || !has(extended, {0})) return "v1";
  // FMA, MOVBE, OSXSAVE, AVX, F16C; LZCNT; BMI1, AVX2, BMI2
  if (!has(basic, {12, 22, 27, 28, 29}) || !has(extended, {5}) || !has(structured, {3, 5, 8})) {
    return "v2";
  }
  const std::uint64_t states = saved_states();
  if ((states & 0x06) != 0x06) return "v2";  // xmm, ymm
  // AVX-512 F, DQ, CD, BW, VL
  if (!has(structured, {16, 17, 28, 30, 31})) return "v3";
  if ((states & 0xe6) != 0xe6) return "v3";  // and opmask, zmm
  return "v4";
}

#else

const char* level() { return "base"; }

#endif

PyObject* py_level(PyObject*, PyObject*) { return PyUnicode_FromString(level()); }

PyMethodDef methods[] = {{"level", py_level, METH_NOARGS, "The highest level this machine runs."},
                         {nullptr, nullptr, 0, nullptr}};
PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_cpu", nullptr, 0, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__cpu() { return PyModule_Create(&module); }
