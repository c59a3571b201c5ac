// The part of ONNX that is needed to read a file that Kindred wrote and to run it with plain loops. It shares
// no code with the writer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kindred {

struct OnnxNode {
  std::string operation, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, std::vector<std::int64_t>> integers;  // attributes
  std::map<std::string, float> floats;
};

struct OnnxTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

struct OnnxFile {
  std::uint64_t operator_set = 0;
  std::map<std::string, std::string> metadata;
  std::vector<OnnxNode> nodes;
  std::map<std::string, OnnxTensor> weights;

  explicit OnnxFile(const std::string& bytes);
  int count(const std::string& operation) const;  // number of such nodes

  // The last node's result for "images": [n, 3, h, w], or with the preparation in the graph [n, h, w, 3].
  OnnxTensor run(const OnnxTensor& images) const;
  // What the first convolution takes.
  OnnxTensor prepared(const OnnxTensor& images) const;

 private:
  OnnxTensor result_of(const std::string& name, const OnnxTensor& images) const;
};

}  // namespace kindred
