#include <cmath>

#include "convert.hpp"
#include "convert_samples.hpp"
#include "ecseq/pipeline/model.hpp"
#include "ecseq/pipeline/split.hpp"
#include "ecseq/relation/entity_key.hpp"
#include "ecseq/relation/entity_set.hpp"
#include "register.hpp"
#include "to_grouping.hpp"
#include "training_options.hpp"

namespace ecseq::bindings {
namespace {

using pipeline::Model;
using pipeline::ModelOptions;
using pipeline::Samples;

relation::EntityOptions to_entity_options(const py::dict& config) {
  relation::EntityOptions entity;
  read(config, "by", entity.by);
  read(config, "set", entity.set);
  read(config, "memory", entity.memory);
  read(config, "windows", entity.windows);
  read(config, "half_lives", entity.half_lives);
  read(config, "label_delay", entity.label_delay);
  read(config, "prior_strength", entity.prior_strength);
  read(config, "max_entities", entity.max_entities);
  read(config, "aggregator", entity.aggregator);
  return entity;
}

/// Features of rows that are observed one after the other; several columns of labels are classes.
py::tuple entity_features(const py::dict& config, const std::vector<double>& prior,
                          const py::object& keys, const py::object& times, const FloatArray& labels,
                          const py::object& base) {
  relation::EntityOptions options = to_entity_options(config);
  options.timed = !times.is_none();
  options.base_outputs = options.timed;
  const pipeline::EntityColumn column = to_entities(options.by, keys);
  const std::vector<double> seconds =
      options.timed ? to_vector(times.cast<DoubleArray>()) : std::vector<double>();
  const FloatArray outputs = base.is_none() ? FloatArray() : base.cast<FloatArray>();
  const MatrixView<float> base_view = base.is_none() ? MatrixView<float>() : view(outputs);
  relation::EntityMemory memory(options, prior,
                                prior.size() == 1 ? Task::kBinary : Task::kMulticlass);
  Matrix<float> features = released([&]() -> Matrix<float> {
    if (!options.set) {
      return options.timed ? memory.replay(column.keys, seconds, view(labels), base_view, 0)
                           : memory.leave_one_out(column.keys, view(labels), 0);
    }
    const relation::EntitySets sets(column.keys, column.offsets);
    return options.timed ? relation::replay_sets(memory, sets, seconds, view(labels), base_view, 0)
                         : relation::leave_one_out_sets(memory, sets, view(labels), 0);
  });
  return py::make_tuple(to_array(std::move(features)),
                        options.set ? relation::set_feature_names(memory) : memory.feature_names());
}

ModelOptions to_options(const py::dict& given) {
  ModelOptions options;
  read(given, "gnn", options.gnn);
  read(given, "n_layers", options.n_layers);
  read(given, "heads", options.heads);
  read(given, "activation", options.activation);
  read(given, "residual", options.residual);
  read(given, "embedding", options.embedding);
  read(given, "hidden_size", options.hidden_size);
  read(given, "head", options.head);
  read(given, "loss", options.loss);
  read(given, "selection", options.selection);
  read(given, "mode", options.mode);
  read(given, "aux_weight", options.aux_weight);
  read(given, "dropout", options.dropout);
  read(given, "input_dropout", options.input_dropout);
  read(given, "attention_dropout", options.attention_dropout);
  read(given, "standardize", options.standardize);
  read(given, "gate", options.gate);
  read(given, "own_head", options.own_head);
  read(given, "tune_encoder", options.tune_encoder);
  read(given, "class_weight", options.class_weight);
  read(given, "controls", options.controls);
  read(given, "metadata", options.metadata);
  read_training(given, options.training);
  options.training.stage = "gnn";
  options.training.plateau_patience = 1;
  options.similarity.reset();
  if (given.contains("similarity")) {
    const auto config = given["similarity"].cast<py::dict>();
    relation::SimilarityOptions similarity;
    read(config, "compressor", similarity.compressor);
    if (config.contains("grouping")) similarity.custom = to_grouping(config["grouping"]);
    read(config, "n_representatives", similarity.n_representatives);
    read(config, "group_counts", similarity.group_counts);
    read(config, "attach", similarity.attach);
    read(config, "n_neighbors", similarity.n_neighbors);
    read(config, "epsilon", similarity.epsilon);
    read(config, "min_correlation", similarity.min_correlation);
    read(config, "isolated", similarity.isolated);
    read(config, "standardize", similarity.standardize);
    read(config, "label_mix", similarity.label_mix);
    read(config, "mass", similarity.mass);
    read(config, "label_spreading", similarity.label_spreading);
    read(config, "prior_strength", similarity.prior_strength);
    read(config, "iterations", similarity.iterations);
    read(config, "max_points_per_centroid", similarity.max_points_per_centroid);
    read(config, "n_cases", similarity.n_cases);
    options.similarity = similarity;
  }
  for (const auto& item : given["entities"].cast<py::list>()) {
    options.entities.push_back(to_entity_options(item.cast<py::dict>()));
  }
  return options;
}

py::object representatives(const Model& model) {
  const auto* relation = model.similarity();
  if (relation == nullptr) return py::none();
  const auto& r = relation->representatives();
  return py::dict(
      py::arg("vectors") = to_array(r.vectors),
      py::arg("mass") = DoubleArray(static_cast<py::ssize_t>(r.mass.size()), r.mass.data()),
      py::arg("spread") = DoubleArray(static_cast<py::ssize_t>(r.spread.size()), r.spread.data()),
      py::arg("radius") = DoubleArray(static_cast<py::ssize_t>(r.radius.size()), r.radius.data()),
      py::arg("label_sums") = to_array(r.label_sums), py::arg("cases") = to_array(r.cases));
}

KeyArray keys_of_integers(const IntArray& ids) {
  KeyArray out(ids.size());
  for (py::ssize_t i = 0; i < ids.size(); ++i) {
    out.mutable_data()[i] = relation::entity_key(ids.data()[i]);
  }
  return out;
}

/// None is "no entity".
KeyArray keys_of_texts(const py::list& ids) {
  KeyArray out(static_cast<py::ssize_t>(ids.size()));
  std::uint64_t* key = out.mutable_data();
  for (const auto& id : ids) {
    *key++ = id.is_none() ? relation::kNoEntity
                          : relation::entity_key(std::string_view(id.cast<std::string>()));
  }
  return out;
}

/// A method of Model that turns samples into a matrix, as Python calls it.
auto outputs_of(Matrix<float> (Model::*method)(const Samples&, int) const) {
  return [method](const Model& model, const py::object& x, const py::dict& entities,
                  const py::object& times, int num_threads) {
    const HeldSamples held = to_samples(x, entities, times);
    return to_array(released([&] { return (model.*method)(held.samples, num_threads); }));
  };
}

/// The same for a later period with its labels.
auto replayed(Matrix<float> (Model::*method)(const Samples&, const Targets&, int) const) {
  return [method](const Model& model, const py::object& x, const FloatArray& y,
                  const py::dict& entities, const py::object& times, int num_threads) {
    const HeldSamples held = to_samples(x, entities, times);
    const Targets targets = to_targets(task_name(model.task()), model.n_classes(), y);
    return to_array(released([&] { return (model.*method)(held.samples, targets, num_threads); }));
  };
}

py::tuple to_python(const pipeline::Split& split) {
  const auto array = [](const std::vector<Index>& rows) {
    return IntArray(static_cast<py::ssize_t>(rows.size()), rows.data());
  };
  return py::make_tuple(array(split.training), array(split.validation));
}

}  // namespace

void register_pipeline(py::module_& m) {
  m.def("keys_of_integers", &keys_of_integers, py::arg("ids"));
  m.def("keys_of_texts", &keys_of_texts, py::arg("ids"));
  m.def("entity_features", &entity_features, py::arg("options"), py::arg("prior"), py::arg("keys"),
        py::arg("times"), py::arg("labels"), py::arg("base"));
  m.def(
      "split_by_time",
      [](const DoubleArray& times, double fraction) {
        return to_python(pipeline::split_by_time(to_vector(times), fraction));
      },
      py::arg("times"), py::arg("fraction"));
  m.def(
      "split_at_random",
      [](const std::string& task, int n_classes, const FloatArray& y, double fraction,
         std::uint64_t seed) {
        return to_python(pipeline::split_at_random(to_targets(task, n_classes, y), fraction, seed));
      },
      py::arg("task"), py::arg("n_classes"), py::arg("y"), py::arg("fraction"), py::arg("seed"));

  py::class_<Model>(m, "Model")
      .def_static(
          "fit",
          [](const py::object& x, const FloatArray& y, const py::dict& entities,
             const py::object& times, const py::object& x_validation,
             const FloatArray& y_validation, const py::dict& entities_validation,
             const py::object& times_validation, const std::string& task, int n_classes,
             const py::dict& options, const encoders::SequenceEncoder* encoder,
             const IntArray& row_numbers, const py::object& base, const py::object& unlabelled,
             const py::object& progress) {
            HeldSamples training = to_samples(x, entities, times);
            training.samples.row_numbers = to_vector(row_numbers);
            FloatArray given_base;
            if (!base.is_none()) {
              given_base = base.cast<FloatArray>();
              training.samples.base = view(given_base);
            }
            const HeldSamples validation =
                to_samples(x_validation, entities_validation, times_validation);
            const Targets targets = to_targets(task, n_classes, y);
            const Targets validation_targets = to_targets(task, n_classes, y_validation);
            const ModelOptions model_options = to_options(options);
            const ProgressCallback callback = to_progress(progress);
            std::optional<encoders::SequenceEncoder> own;
            if (encoder != nullptr) own = *encoder;
            std::optional<HeldSamples> others;
            if (!unlabelled.is_none()) others = to_samples(unlabelled, py::dict(), py::none());
            pipeline::FitDetails details;
            Model model = released([&] {
              return Model::fit(training.samples, targets, validation.samples, validation_targets,
                                model_options, std::move(own), callback,
                                others ? &others->samples : nullptr, &details);
            });
            const IntArray head_rows(static_cast<py::ssize_t>(details.rows.size()),
                                     details.rows.data());
            return py::make_tuple(
                std::move(model),
                py::dict(
                    py::arg("training_inputs") = to_array(std::move(details.training_inputs)),
                    py::arg("validation_inputs") = to_array(std::move(details.validation_inputs)),
                    py::arg("rows") = head_rows,
                    py::arg("validation_outputs") =
                        to_array(std::move(details.validation_outputs))));
          },
          py::arg("x"), py::arg("y"), py::arg("entities"), py::arg("times"),
          py::arg("x_validation"), py::arg("y_validation"), py::arg("entities_validation"),
          py::arg("times_validation"), py::arg("task"), py::arg("n_classes"), py::arg("options"),
          py::arg("encoder"), py::arg("row_numbers"), py::arg("base"), py::arg("unlabelled"),
          py::arg("progress"))
      .def("decide", outputs_of(&Model::decide), py::arg("x"), py::arg("entities"),
           py::arg("times"), py::arg("num_threads"))
      .def("predict", outputs_of(&Model::predict), py::arg("x"), py::arg("entities"),
           py::arg("times"), py::arg("num_threads"))
      .def("inputs", outputs_of(&Model::inputs), py::arg("x"), py::arg("entities"),
           py::arg("times"), py::arg("num_threads"))
      .def("replay_inputs", replayed(&Model::replay_inputs), py::arg("x"), py::arg("y"),
           py::arg("entities"), py::arg("times"), py::arg("num_threads"))
      .def(
          "fit_gate_of",
          [](Model& model, const FloatArray& base, const FloatArray& head, const FloatArray& y) {
            const Targets targets = to_targets(task_name(model.task()), model.n_classes(), y);
            model.fit_gate_of(view(base).eigen(), view(head).eigen(), targets);
          },
          py::arg("base"), py::arg("head"), py::arg("y"))
      .def(
          "gated",
          [](const Model& model, const FloatArray& base, const FloatArray& head) {
            return to_array(model.gated(view(base).eigen(), view(head).eigen()));
          },
          py::arg("base"), py::arg("head"))
      .def("transform", outputs_of(&Model::transform), py::arg("x"), py::arg("entities"),
           py::arg("times"), py::arg("num_threads"))
      .def("base", outputs_of(&Model::base), py::arg("x"), py::arg("entities"), py::arg("times"),
           py::arg("num_threads"))
      .def(
          "control",
          [](const Model& model, const py::object& x, const py::dict& entities,
             const py::object& times, const std::string& name, int num_threads) {
            const HeldSamples held = to_samples(x, entities, times);
            return to_array(
                released([&] { return model.control(held.samples, name, num_threads); }));
          },
          py::arg("x"), py::arg("entities"), py::arg("times"), py::arg("name"),
          py::arg("num_threads"))
      .def("replay", replayed(&Model::replay), py::arg("x"), py::arg("y"), py::arg("entities"),
           py::arg("times"), py::arg("num_threads"))
      .def(
          "observe",
          [](Model& model, const py::object& x, const FloatArray& y, const py::dict& entities,
             const py::object& times, int num_threads) -> py::object {
            const HeldSamples held = to_samples(x, entities, times);
            const Targets targets = to_targets(task_name(model.task()), model.n_classes(), y);
            const auto drift =
                released([&] { return model.observe(held.samples, targets, num_threads); });
            if (!drift) return py::none();
            return py::dict(py::arg("rows") = drift->rows,
                            py::arg("beyond_radius") = drift->beyond_radius,
                            py::arg("mass_shift") = drift->mass_shift,
                            py::arg("label_shift") = drift->label_shift,
                            py::arg("added") = drift->added, py::arg("retired") = drift->retired);
          },
          py::arg("x"), py::arg("y"), py::arg("entities"), py::arg("times"), py::arg("num_threads"))
      .def(
          "explain",
          [](const Model& model, const py::object& x, const py::dict& entities,
             const py::object& times, Index top, const std::string& method, int num_threads) {
            const HeldSamples held = to_samples(x, entities, times);
            const auto found =
                released([&] { return model.explain(held.samples, top, num_threads, method); });
            py::list out;
            for (const auto& explanation : found) out.append(to_python(explanation));
            return out;
          },
          py::arg("x"), py::arg("entities"), py::arg("times"), py::arg("top"), py::arg("method"),
          py::arg("num_threads"))
      .def(
          "decide_without",
          [](const Model& model, const py::object& x, const py::dict& entities,
             const py::object& times, const std::vector<std::vector<std::int64_t>>& removed,
             int num_threads) {
            const HeldSamples held = to_samples(x, entities, times);
            return to_array(
                released([&] { return model.decide_without(held.samples, removed, num_threads); }));
          },
          py::arg("x"), py::arg("entities"), py::arg("times"), py::arg("removed"),
          py::arg("num_threads"))
      .def("representatives", &representatives)
      .def("similarity_scale",
           [](const Model& model) {
             if (model.similarity() == nullptr) {
               throw InvalidArgument("the model has no representatives by similarity");
             }
             const nn::Scaler& scaler = model.similarity()->scaler();
             const auto row = [](const RowVector<float>& values) {
               return FloatArray(static_cast<py::ssize_t>(values.size()), values.data());
             };
             return py::make_tuple(row(scaler.mean), row(scaler.inverse_std), scaler.bound);
           })
      .def("to_bytes",
           [](const Model& model) { return py::bytes(released([&] { return model.to_bytes(); })); })
      .def_static(
          "from_bytes",
          [](const py::bytes& bytes, const std::string& origin) {
            const std::string_view text = bytes;
            return released([&] { return Model::from_bytes(text, origin); });
          },
          py::arg("bytes"), py::arg("origin"))
      .def("save", &Model::save, py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def_static(
          "load", [](const std::string& path) { return Model::load(path); }, py::arg("path"),
          py::call_guard<py::gil_scoped_release>())
      .def("set_metadata", &Model::set_metadata, py::arg("text"))
      .def_property_readonly("metadata",
                             [](const Model& model) { return model.options().metadata; })
      .def_property_readonly("gate",
                             [](const Model& model) {
                               const pipeline::Gate& gate = model.gate();
                               return py::dict(py::arg("choice") = !model.options().gate ? "none"
                                                                   : gate.stacked        ? "stacked"
                                                                                         : "base",
                                               py::arg("base_weight") = gate.base_weight,
                                               py::arg("head_weight") = gate.head_weight,
                                               py::arg("bias") = gate.bias);
                             })
      .def_property_readonly("report", &Model::report)
      .def_property_readonly("task", [](const Model& model) { return task_name(model.task()); })
      .def_property_readonly("tuned",
                             [](const Model& model) { return model.options().tune_encoder; })
      .def_property_readonly("n_classes", &Model::n_classes)
      .def_property_readonly("input_features", &Model::input_features)
      .def_property_readonly("target_mean", &Model::target_mean)
      .def_property_readonly("target_std", &Model::target_std)
      .def_property_readonly("entity_sets",
                             [](const Model& model) {
                               py::dict sets;
                               for (const auto& entity : model.options().entities) {
                                 sets[py::str(entity.by)] = entity.set;
                               }
                               return sets;
                             })
      .def_property_readonly("encoder", [](const Model& model) { return model.encoder(); })
      .def(
          "knows",
          [](const Model& model, std::size_t relation, const KeyArray& keys) {
            py::array_t<bool> out(keys.size());
            const auto& memory = model.entities().at(relation);
            for (py::ssize_t i = 0; i < keys.size(); ++i) {
              out.mutable_data()[i] = memory.knows(keys.data()[i]);
            }
            return out;
          },
          py::arg("relation"), py::arg("keys"));
}

}  // namespace ecseq::bindings
