#include <exception>

#include "convert.hpp"
#include "register.hpp"

namespace ecseq::bindings {

void register_errors(py::module_& m) {
  // Translators are tried newest first: the base class goes in before its children.
  py::register_exception<Error>(m, "EcseqError", PyExc_RuntimeError);
  py::register_exception<FileError>(m, "ModelFileError", PyExc_ValueError);
  py::register_exception<Diverged>(m, "TrainingDiverged", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const InvalidArgument& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    } catch (const Interrupted&) {
      PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
}

}  // namespace ecseq::bindings
