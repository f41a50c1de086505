#include <pybind11/pybind11.h>

#include "ecseq/core/parallel.hpp"
#include "register.hpp"

namespace ecseq::bindings {

namespace py = pybind11;

void register_core(py::module_& m) {
  m.def("set_num_threads", &set_num_threads, py::arg("threads"));
  m.def("resolve_threads", &resolve_threads, py::arg("requested"));
}

}  // namespace ecseq::bindings
