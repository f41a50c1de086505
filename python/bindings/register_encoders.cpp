#include "convert.hpp"
#include "ecseq/encoders/sequence_encoder.hpp"
#include "register.hpp"
#include "training_options.hpp"

namespace ecseq::bindings {
namespace {

using encoders::EncoderOptions;
using encoders::SequenceEncoder;

EncoderOptions to_options(const py::dict& given) {
  EncoderOptions options;
  read(given, "cell", options.cell);
  read(given, "hidden_size", options.hidden_size);
  read(given, "n_layers", options.n_layers);
  read(given, "bidirectional", options.bidirectional);
  read(given, "pooling", options.pooling);
  read(given, "dropout", options.dropout);
  read(given, "class_weight", options.class_weight);
  read_training(given, options.training);
  options.training.stage = "encoder";
  return options;
}

py::list curve(const SequenceEncoder& encoder) {
  py::list out;
  int number = 0;
  for (const auto& epoch : encoder.report().epochs) {
    out.append(py::dict(py::arg("epoch") = ++number, py::arg("training_loss") = epoch.training_loss,
                        py::arg("validation_loss") = epoch.validation_loss,
                        py::arg("validation_score") = epoch.validation_score,
                        py::arg("seconds") = epoch.seconds));
  }
  return out;
}

}  // namespace

void register_encoders(py::module_& m) {
  py::class_<SequenceEncoder>(m, "SequenceEncoder")
      .def_static(
          "fit",
          [](const FloatArray& values, const IntArray& starts, const IntArray& stops,
             const FloatArray& y, const FloatArray& values_validation,
             const IntArray& starts_validation, const IntArray& stops_validation,
             const FloatArray& y_validation, const std::string& task, int n_classes,
             const py::dict& options, const py::object& progress) {
            const SequencesView training = view(values, starts, stops);
            const SequencesView validation =
                view(values_validation, starts_validation, stops_validation);
            const Targets targets = to_targets(task, n_classes, y);
            const Targets validation_targets = to_targets(task, n_classes, y_validation);
            const EncoderOptions encoder_options = to_options(options);
            const ProgressCallback callback = to_progress(progress);
            return released([&] {
              return SequenceEncoder::fit(training, targets, validation, validation_targets,
                                          encoder_options, callback);
            });
          },
          py::arg("values"), py::arg("starts"), py::arg("stops"), py::arg("y"),
          py::arg("values_validation"), py::arg("starts_validation"), py::arg("stops_validation"),
          py::arg("y_validation"), py::arg("task"), py::arg("n_classes"), py::arg("options"),
          py::arg("progress"))
      .def(
          "encode",
          [](const SequenceEncoder& encoder, const FloatArray& values, const IntArray& starts,
             const IntArray& stops, int num_threads) {
            const SequencesView sequences = view(values, starts, stops);
            return to_array(released([&] { return encoder.encode(sequences, num_threads); }));
          },
          py::arg("values"), py::arg("starts"), py::arg("stops"), py::arg("num_threads"))
      .def(
          "decide",
          [](const SequenceEncoder& encoder, const FloatArray& embedding) {
            return to_array(released([&] { return encoder.decide(view(embedding)); }));
          },
          py::arg("embedding"))
      .def("tensors",
           [](const SequenceEncoder& encoder) {
             py::dict out;
             for (auto& [name, tensor] : encoder.tensors()) out[name.c_str()] = to_array(tensor);
             return out;
           })
      .def_static(
          "from_tensors",
          [](const py::dict& tensors, const py::dict& options, const std::string& task,
             int n_classes) {
            std::map<std::string, Matrix<float>> named;
            for (const auto& [name, tensor] : tensors) {
              named[name.cast<std::string>()] = view(tensor.cast<FloatArray>()).eigen();
            }
            return SequenceEncoder::from_tensors(named, to_options(options),
                                                 to_targets(task, n_classes, FloatArray(0)).task,
                                                 n_classes);
          },
          py::arg("tensors"), py::arg("options"), py::arg("task"), py::arg("n_classes"))
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
      .def_property_readonly(
          "hidden_size",
          [](const SequenceEncoder& encoder) { return encoder.options().hidden_size; })
      .def_property_readonly("cell",
                             [](const SequenceEncoder& encoder) { return encoder.options().cell; })
      .def_property_readonly(
          "n_layers", [](const SequenceEncoder& encoder) { return encoder.options().n_layers; })
      .def_property_readonly(
          "bidirectional",
          [](const SequenceEncoder& encoder) { return encoder.options().bidirectional; })
      .def_property_readonly(
          "pooling", [](const SequenceEncoder& encoder) { return encoder.options().pooling; })
      .def_property_readonly(
          "dropout", [](const SequenceEncoder& encoder) { return encoder.options().dropout; })
      .def_property_readonly("embedding_size", &SequenceEncoder::embedding_size)
      .def_property_readonly("input_features", &SequenceEncoder::input_features);
}

}  // namespace ecseq::bindings
