#pragma once

// What a model is asked and what it answers: rows of samples in, explanations out.

#include <string>

#include "convert.hpp"
#include "ecseq/pipeline/model.hpp"

namespace ecseq::bindings {

/// Samples with the arrays they point into.
struct HeldSamples {
  FloatArray values;
  HeldSequences sequences;
  pipeline::Samples samples;
};

/// keys: uint64 [n], or for sets (uint64 keys of all, offsets [n + 1]).
inline pipeline::EntityColumn to_entities(const std::string& by, const py::handle& keys) {
  if (!py::isinstance<py::tuple>(keys)) return {by, to_vector(keys.cast<KeyArray>()), {}};
  const auto pair = keys.cast<py::tuple>();
  return {by, to_vector(pair[0].cast<KeyArray>()), to_vector(pair[1].cast<IntArray>())};
}

/// X: a matrix, or sequences (see `to_sequences`). entities: {name: keys}. times: [n] or None.
inline HeldSamples to_samples(const py::object& x, const py::dict& entities,
                              const py::object& times) {
  HeldSamples held;
  if (py::isinstance<py::tuple>(x)) {
    held.sequences = to_sequences(x.cast<py::tuple>());
    held.samples.sequences = held.sequences.view;
  } else {
    held.values = x.cast<FloatArray>();
    held.samples.embedding = view(held.values);
  }
  for (const auto& [name, keys] : entities) {
    held.samples.entities.push_back(to_entities(name.cast<std::string>(), keys));
  }
  if (!times.is_none()) held.samples.times = to_vector(times.cast<DoubleArray>());
  return held;
}

inline py::dict to_python(const pipeline::Explanation& explanation) {
  py::list similar, entities;
  for (const auto& found : explanation.similar) {
    similar.append(py::dict(py::arg("representative") = found.representative,
                            py::arg("similarity") = found.similarity,
                            py::arg("weight") = found.weight, py::arg("mass") = found.mass,
                            py::arg("label_mix") = found.label_mix, py::arg("cases") = found.cases,
                            py::arg("contribution") = found.contribution));
  }
  for (const auto& found : explanation.entities) {
    entities.append(py::dict(py::arg("by") = found.by, py::arg("known") = found.known,
                             py::arg("names") = found.names, py::arg("facts") = found.facts,
                             py::arg("contribution") = found.contribution));
  }
  return py::dict(py::arg("output") = explanation.output, py::arg("score") = explanation.score,
                  py::arg("base_score") = explanation.base_score,
                  py::arg("without_relations") = explanation.without_relations,
                  py::arg("method") = explanation.method, py::arg("own") = explanation.own,
                  py::arg("rest") = explanation.rest,
                  py::arg("other_similar") = explanation.other_similar,
                  py::arg("similar") = similar, py::arg("entities") = entities);
}

}  // namespace ecseq::bindings
