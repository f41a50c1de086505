#pragma once

// NumPy arrays to the library's views and back. Arrays arrive C-contiguous and of the right dtype:
// the Python layer sees to that, so nothing is copied on the way in.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ecseq/core/error.hpp"
#include "ecseq/core/matrix.hpp"
#include "ecseq/core/progress.hpp"
#include "ecseq/core/sequences.hpp"
#include "ecseq/core/shared_matrix.hpp"
#include "ecseq/core/targets.hpp"

namespace ecseq::bindings {

namespace py = pybind11;

using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;
using IntArray = py::array_t<std::int64_t, py::array::c_style>;
using KeyArray = py::array_t<std::uint64_t, py::array::c_style>;

inline MatrixView<float> view(const FloatArray& x) {
  if (x.ndim() != 2) throw InvalidArgument("X: expected a matrix [rows, columns]");
  return {x.data(), x.shape(0), x.shape(1)};
}

/// Sequences with the arrays they point into.
struct HeldSequences {
  FloatArray values;
  IntArray starts, stops;
  DoubleArray times;
  SequencesView view;
};

/// (values [events, features], starts [n], stops [n], times [events] or None)
inline HeldSequences to_sequences(const py::tuple& parts) {
  HeldSequences held{parts[0].cast<FloatArray>(),
                     parts[1].cast<IntArray>(),
                     parts[2].cast<IntArray>(),
                     parts[3].is_none() ? DoubleArray(0) : parts[3].cast<DoubleArray>(),
                     {}};
  if (held.starts.ndim() != 1 || held.stops.ndim() != 1 ||
      held.starts.size() != held.stops.size()) {
    throw InvalidArgument("starts, stops: expected two arrays [n]");
  }
  held.view = {view(held.values), held.starts.data(), held.stops.data(), held.starts.size()};
  if (!parts[3].is_none()) {
    if (held.times.size() != held.values.shape(0)) {
      throw InvalidArgument("times: expected one per event");
    }
    held.view.times = held.times.data();
  }
  return held;
}

template <class Array>
auto to_vector(const Array& x) {
  return std::vector<typename Array::value_type>(x.data(), x.data() + x.size());
}

/// Hands the matrix's memory to NumPy without a copy.
template <class Scalar>
py::array_t<Scalar> to_array(Matrix<Scalar> matrix) {
  auto* owner = new Matrix<Scalar>(std::move(matrix));
  py::capsule free(owner, [](void* p) { delete static_cast<Matrix<Scalar>*>(p); });
  return py::array_t<Scalar>({owner->rows(), owner->cols()}, owner->data(), free);
}

/// Copies, which may be written.
inline py::dict to_arrays(const std::map<std::string, SharedMatrix>& tensors) {
  py::dict out;
  for (const auto& [name, tensor] : tensors) {
    out[name.c_str()] = to_array(Matrix<float>(tensor.eigen()));
  }
  return out;
}

inline std::map<std::string, SharedMatrix> to_tensors(const py::dict& arrays) {
  std::map<std::string, SharedMatrix> out;
  for (const auto& [name, array] : arrays) {
    out[name.cast<std::string>()] = view(array.cast<FloatArray>()).eigen();
  }
  return out;
}

inline Targets to_targets(const std::string& task, int n_classes, const FloatArray& y) {
  Targets targets;
  targets.task = task == "binary"       ? Task::kBinary
                 : task == "multiclass" ? Task::kMulticlass
                                        : Task::kRegression;
  targets.n_classes = n_classes;
  targets.values = to_vector(y);
  return targets;
}

inline std::string task_name(Task task) {
  switch (task) {
    case Task::kBinary:
      return "binary";
    case Task::kMulticlass:
      return "multiclass";
    case Task::kRegression:
      break;
  }
  return "regression";
}

/// value = options[name] where it is given.
template <class T>
void read(const py::dict& options, const char* name, T& value) {
  if (options.contains(name)) value = options[name].cast<T>();
}

/// What Python raised in a callback whose C++ call was to return all the same.
using Raised = std::shared_ptr<std::exception_ptr>;

/// A Python object that C++ holds and may let go of on any thread and without the GIL.
inline std::shared_ptr<py::object> shared_object(const py::object& object) {
  return {new py::object(object), [](py::object* last) {
            const py::gil_scoped_acquire gil;
            delete last;
          }};
}

/// Forwards progress to a Python callable (stage, done, total, message), or to nobody, and lets
/// Ctrl-C through: what Python raises leaves the C++ call as it is.
inline ProgressCallback to_progress(const py::object& callback) {
  return [shared = shared_object(callback)](const Progress& progress) {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!shared->is_none()) {
      (*shared)(progress.stage, progress.done, progress.total, progress.message);
    }
    return true;
  };
}

/// As `to_progress`, but what Python raises interrupts the C++ call in its own way, so that it can
/// keep what is done, and is left in `raised`.
inline ProgressCallback to_interruption(const py::object& callback, const Raised& raised) {
  return [forward = to_progress(callback), raised](const Progress& progress) {
    try {
      return forward(progress);
    } catch (const py::error_already_set&) {
      *raised = std::current_exception();
      return false;
    }
  };
}

/// Runs `work` without the GIL.
template <class Work>
auto released(Work&& work) {
  const py::gil_scoped_release release;
  return work();
}

}  // namespace ecseq::bindings
