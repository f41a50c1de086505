#include <pybind11/pybind11.h>

#include "register.hpp"

// One module per instruction-set level, each under its own name; to Python they are all
// ecseq._core, so that a class keeps one name, and a pickle its meaning, from machine to machine.
PYBIND11_MODULE(ECSEQ_MODULE_NAME, m) {
  m.attr("__name__") = "ecseq._core";
  m.attr("level") = ECSEQ_MODULE_LEVEL;
  m.attr("version") = ECSEQ_VERSION;
  ecseq::bindings::register_errors(m);
  ecseq::bindings::register_core(m);
  ecseq::bindings::register_encoders(m);
  ecseq::bindings::register_graph(m);
  ecseq::bindings::register_compress(m);
  ecseq::bindings::register_pipeline(m);
  ecseq::bindings::register_forecaster(m);
  ecseq::bindings::register_serving(m);
}
