#include "parameter_file.hpp"

#include <algorithm>

#include "ecseq/core/error.hpp"

namespace ecseq::pipeline {

const Matrix<float>& tensor_of(const io::TensorFile& file, const std::string& name,
                               const std::string& origin) {
  const auto found = file.floats.find(name);
  if (found == file.floats.end()) {
    throw FileError(origin + ": tensor '" + name + "' is missing");
  }
  return found->second;
}

const std::string& metadata_of(const io::TensorFile& file, const std::string& name,
                               const std::string& origin, const std::string& kind) {
  const auto found = file.metadata.find(name);
  if (found == file.metadata.end()) {
    throw FileError(origin + ": not an ecseq " + kind + " (metadata '" + name + "' is missing)");
  }
  return found->second;
}

void save_parameters(const nn::Parameters<float>& parameters, io::TensorFile& file,
                     const std::string& prefix) {
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    file.floats[prefix + parameters.entries()[i].name] =
        parameters.view(static_cast<int>(i)).eigen();
  }
}

void load_parameters(nn::Parameters<float>& parameters, const io::TensorFile& file,
                     const std::string& prefix) {
  for (std::size_t i = 0; i < parameters.entries().size(); ++i) {
    const auto& entry = parameters.entries()[i];
    const Matrix<float>& tensor = tensor_of(file, prefix + entry.name);
    if (tensor.rows() != entry.rows || tensor.cols() != entry.cols) {
      throw FileError("model file: tensor '" + prefix + entry.name + "' has the wrong shape");
    }
    std::copy_n(tensor.data(), tensor.size(), parameters.data(static_cast<int>(i)));
  }
}

void save_scaler(const nn::Scaler& scaler, io::TensorFile& file, const std::string& prefix) {
  file.floats[prefix + "scale.mean"] = scaler.mean;
  file.floats[prefix + "scale.inverse_std"] = scaler.inverse_std;
  file.doubles[prefix + "scale.bound"] = {static_cast<double>(scaler.bound)};
}

nn::Scaler load_scaler(const io::TensorFile& file, const std::string& prefix) {
  nn::Scaler scaler;
  scaler.mean = tensor_of(file, prefix + "scale.mean").reshaped().transpose();
  scaler.inverse_std = tensor_of(file, prefix + "scale.inverse_std").reshaped().transpose();
  if (scaler.inverse_std.size() != scaler.mean.size()) {
    throw FileError("model file: the scaler of '" + prefix + "' is of two sizes");
  }
  const auto bound = file.doubles.find(prefix + "scale.bound");
  if (bound != file.doubles.end() && bound->second.size() == 1) {
    scaler.bound = static_cast<float>(bound->second.front());
  }
  if (!(scaler.bound > 0.0f))
    throw FileError("model file: the scaler of '" + prefix + "' clips all");
  return scaler;
}

}  // namespace ecseq::pipeline
