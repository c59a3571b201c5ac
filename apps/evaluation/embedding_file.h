// The file that embed writes: a row for each image, with its path and, if the images have classes, its class.
//
//   .npz   "features" or "logits" [images, columns], f32; "paths" [images]; with classes also "labels" [images], i64,
//          and "classes": the names that labels count from 0; with logits "logit_classes" [columns]: the classes of
//          the classifier, which may be others than those of the set
//   .csv   path,class,feature0,feature1 ... or path,class,logit:cat,logit:dog ...; without classes there is no column
//          for them
//
// The rows are written batch by batch; only the indices of the images stay in memory. The file appears when it is
// complete.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kindred {

struct EmbeddingContent {
  const Dataset& set;                        // must outlive the file
  std::int64_t columns = 0;                  // of each row
  bool logits = false;                       // the rows are logits, and not features
  std::vector<std::string> logit_classes{};  // [columns]: whose logits they are; empty for features
  bool has_classes = true;                   // the labels of the set mean something
};

class EmbeddingFile {
 public:
  virtual ~EmbeddingFile() = default;
  // rows [indices.size(), columns] are of these images of the set. Throws Error(io).
  virtual void append(std::span<const float> rows, const std::vector<std::int64_t>& indices) = 0;
  virtual void commit() = 0;  // the file exists only after this call; throws Error(io)
};

// Throws Error(usage), which names the endings that there are, for the name of a file that ends otherwise, or has no ending. The
// case of letters does not count.
void check_embedding_name(const std::string& out);

std::unique_ptr<EmbeddingFile> begin_embedding(const std::string& out, const EmbeddingContent& content);

}  // namespace kindred
