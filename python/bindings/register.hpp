#pragma once

#include <pybind11/pybind11.h>

namespace ecseq::bindings {

void register_errors(pybind11::module_& m);
void register_core(pybind11::module_& m);
void register_encoders(pybind11::module_& m);
void register_graph(pybind11::module_& m);
void register_compress(pybind11::module_& m);
void register_pipeline(pybind11::module_& m);
void register_forecaster(pybind11::module_& m);
void register_serving(pybind11::module_& m);

}  // namespace ecseq::bindings
