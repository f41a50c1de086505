#pragma once

#include <pybind11/pybind11.h>

namespace ecseq::bindings {

void register_core(pybind11::module_& m);

}  // namespace ecseq::bindings
