#include "convert.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "register.hpp"
#include "training_options.hpp"

namespace ecseq::bindings {
namespace {

using encoders::CategoricalColumn;
using encoders::EncoderOptions;
using encoders::SequenceEncoder;

template <class T>
void read_option(const py::dict& given, const char* name, T& value) {
  read(given, name, value);
}
void read_option(const py::dict& given, const char* name, std::vector<CategoricalColumn>& columns) {
  if (!given.contains(name)) return;
  for (const auto& item : given[name].cast<py::list>()) {
    const auto config = item.cast<py::dict>();
    CategoricalColumn& column = columns.emplace_back();
    read(config, "column", column.column);
    read(config, "dimension", column.dimension);
    read(config, "max_norm", column.max_norm);
    read(config, "min_count", column.min_count);
  }
}

py::object to_python(const std::vector<CategoricalColumn>& columns) {
  py::list out;
  for (const auto& column : columns) {
    out.append(py::dict(py::arg("column") = column.column, py::arg("dimension") = column.dimension,
                        py::arg("max_norm") = column.max_norm,
                        py::arg("min_count") = column.min_count));
  }
  return out;
}
template <class T>
py::object to_python(const T& value) {
  return py::cast(value);
}

EncoderOptions to_options(const py::dict& given) {
  EncoderOptions options;
  encoders::visit_architecture(
      options, [&](const char* name, auto& value) { read_option(given, name, value); });
  read(given, "labels_per", options.labels_per);
  read(given, "selection", options.selection);
  read(given, "class_weight", options.class_weight);
  read_training(given, options.training);
  options.training.stage = "encoder";
  return options;
}

py::dict architecture(const SequenceEncoder& encoder) {
  py::dict out;
  encoders::visit_architecture(encoder.options(), [&](const char* name, const auto& value) {
    out[name] = to_python(value);
  });
  return out;
}

py::list curve(const SequenceEncoder& encoder) {
  py::list out;
  int number = 0;
  for (const auto& epoch : encoder.report().epochs) {
    out.append(py::dict(py::arg("epoch") = ++number, py::arg("training_loss") = epoch.training_loss,
                        py::arg("validation_loss") = epoch.validation_loss,
                        py::arg("validation_score") = epoch.validation_score,
                        py::arg("learning_rate") = epoch.learning_rate,
                        py::arg("seconds") = epoch.seconds));
  }
  return out;
}

/// (encoder, what interrupted its training or None): an encoder whose training was interrupted
/// after an epoch has the best weights so far.
template <class Train>
py::tuple trained(const py::object& progress, const Train& train) {
  const auto raised = std::make_shared<std::exception_ptr>();
  const ProgressCallback callback = to_interruption(progress, raised);
  std::optional<SequenceEncoder> encoder;
  try {
    encoder = released([&] { return train(callback); });
  } catch (const Interrupted&) {
    if (*raised) std::rethrow_exception(*raised);
    throw;
  }
  py::object reason = py::none();
  if (*raised) {
    try {
      std::rethrow_exception(*raised);
    } catch (const py::error_already_set& error) {
      reason = error.value();
    }
  }
  return py::make_tuple(*encoder, reason);
}

}  // namespace

void register_encoders(py::module_& m) {
  py::class_<SequenceEncoder>(m, "SequenceEncoder")
      .def_static(
          "fit",
          [](const py::tuple& training, const FloatArray& y, const py::tuple& validation,
             const FloatArray& y_validation, const std::string& task, int n_classes,
             const py::dict& options, const SequenceEncoder* start, const py::object& progress) {
            const HeldSequences learned = to_sequences(training);
            const HeldSequences held_out = to_sequences(validation);
            const Targets targets = to_targets(task, n_classes, y);
            const Targets held_out_targets = to_targets(task, n_classes, y_validation);
            const EncoderOptions encoder_options = to_options(options);
            return trained(progress, [&](const ProgressCallback& callback) {
              return SequenceEncoder::fit(learned.view, targets, held_out.view, held_out_targets,
                                          encoder_options, callback, start);
            });
          },
          py::arg("training"), py::arg("y"), py::arg("validation"), py::arg("y_validation"),
          py::arg("task"), py::arg("n_classes"), py::arg("options"), py::arg("start"),
          py::arg("progress"))
      .def_static(
          "pretrain",
          [](const py::tuple& training, const py::tuple& validation, const py::dict& options,
             const SequenceEncoder* start, const py::object& progress) {
            const HeldSequences learned = to_sequences(training);
            const HeldSequences held_out = to_sequences(validation);
            const EncoderOptions encoder_options = to_options(options);
            return trained(progress, [&](const ProgressCallback& callback) {
              return SequenceEncoder::pretrain(learned.view, held_out.view, encoder_options,
                                               callback, start);
            });
          },
          py::arg("training"), py::arg("validation"), py::arg("options"), py::arg("start"),
          py::arg("progress"))
      .def(
          "encode",
          [](const SequenceEncoder& encoder, const py::tuple& sequences, int num_threads) {
            const HeldSequences held = to_sequences(sequences);
            const ProgressCallback signals = to_progress(py::none());
            return to_array(
                released([&] { return encoder.encode(held.view, num_threads, signals); }));
          },
          py::arg("sequences"), py::arg("num_threads"))
      .def(
          "encode_events",
          [](const SequenceEncoder& encoder, const py::tuple& sequences, int num_threads) {
            const HeldSequences held = to_sequences(sequences);
            const ProgressCallback signals = to_progress(py::none());
            return to_array(
                released([&] { return encoder.encode_events(held.view, num_threads, signals); }));
          },
          py::arg("sequences"), py::arg("num_threads"))
      .def(
          "decide",
          [](const SequenceEncoder& encoder, const FloatArray& embedding) {
            return to_array(released([&] { return encoder.decide(view(embedding)); }));
          },
          py::arg("embedding"))
      .def("tensors", [](const SequenceEncoder& encoder) { return to_arrays(encoder.tensors()); })
      .def_static(
          "from_tensors",
          [](const py::dict& tensors, const py::dict& options, const std::string& task,
             int n_classes) {
            return SequenceEncoder::from_tensors(to_tensors(tensors), to_options(options),
                                                 to_targets(task, n_classes, FloatArray(0)).task,
                                                 n_classes);
          },
          py::arg("tensors"), py::arg("options"), py::arg("task"), py::arg("n_classes"))
      .def_property_readonly("architecture", &architecture)
      .def_property_readonly("curve", &curve)
      .def_property_readonly(
          "best_epoch",
          [](const SequenceEncoder& encoder) { return encoder.report().best_epoch + 1; })
      .def_property_readonly(
          "stop_reason",
          [](const SequenceEncoder& encoder) { return encoder.report().stop_reason; })
      .def_property_readonly(
          "seconds", [](const SequenceEncoder& encoder) { return encoder.report().seconds; })
      .def_property_readonly(
          "task", [](const SequenceEncoder& encoder) { return task_name(encoder.task()); })
      .def_property_readonly("n_classes", &SequenceEncoder::n_classes)
      .def_property_readonly("has_head", &SequenceEncoder::has_head)
      .def_property_readonly("embedding_size", &SequenceEncoder::embedding_size)
      .def_property_readonly("input_features", &SequenceEncoder::input_features);
}

}  // namespace ecseq::bindings
