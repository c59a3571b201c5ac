#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/apps/evaluation/embedding_file.h>
#include <kindred/data/npz/npz.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>

namespace kindred {
namespace {

class NpzEmbedding : public EmbeddingFile {
 public:
  NpzEmbedding(const std::string& out, const EmbeddingContent& content) : content_(content), writer_(out) {
    writer_.begin<float>(content.logits ? "logits" : "features", {content.columns});
  }

  void append(std::span<const float> rows, const std::vector<std::int64_t>& indices) override {
    writer_.append<float>(rows);
    used_.insert(used_.end(), indices.begin(), indices.end());
  }

  void commit() override {
    if (content_.has_classes) write_labels();
    write_texts("paths", static_cast<std::int64_t>(used_.size()),
                [&](std::int64_t i) { return content_.set.name(used_[static_cast<std::size_t>(i)]); });
    if (content_.has_classes)
      write_texts("classes", content_.set.classes(),
                  [&](std::int64_t i) { return content_.set.class_names()[static_cast<std::size_t>(i)]; });
    if (content_.logits)
      write_texts("logit_classes", content_.columns,
                  [&](std::int64_t i) { return content_.logit_classes[static_cast<std::size_t>(i)]; });
    writer_.commit();
  }

 private:
  void write_labels() {
    writer_.begin<std::int64_t>("labels", {});
    for (const std::int64_t i : used_) {
      const std::int64_t label = content_.set.label(i);
      writer_.append<std::int64_t>(std::span(&label, 1));
    }
  }

  template <typename TextOf>
  void write_texts(const char* what, std::int64_t count, const TextOf& text_of) {
    std::size_t widest = 0;
    for (std::int64_t i = 0; i < count; ++i) widest = std::max(widest, text_width(text_of(i)));
    writer_.begin_texts(what, widest);
    for (std::int64_t i = 0; i < count; ++i) writer_.append_text(text_of(i));
  }

  const EmbeddingContent content_;
  NpzWriter writer_;
  std::vector<std::int64_t> used_;
};

class CsvEmbedding : public EmbeddingFile {
 public:
  CsvEmbedding(const std::string& out, const EmbeddingContent& content) : content_(content), file_(out) {
    std::string header = content.has_classes ? "path,class" : "path";
    for (std::int64_t c = 0; c < content.columns; ++c)
      header += "," + (content.logits ? csv_cell("logit:" + content.logit_classes[static_cast<std::size_t>(c)])
                                      : fmt::format("feature{}", c));
    write_line(header);
  }

  void append(std::span<const float> rows, const std::vector<std::int64_t>& indices) override {
    const auto columns = static_cast<std::size_t>(content_.columns);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      std::string line = csv_cell(content_.set.name(indices[i]));
      if (content_.has_classes) {
        const std::int32_t label = content_.set.label(indices[i]);
        line += "," + csv_cell(content_.set.class_names()[static_cast<std::size_t>(label)]);
      }
      for (const float value : rows.subspan(i * columns, columns)) line += fmt::format(",{}", value);
      write_line(line);
    }
  }

  void commit() override { file_.commit(); }

 private:
  void write_line(std::string line) {
    line += '\n';
    file_.write(line.data(), line.size());
  }

  const EmbeddingContent content_;
  AtomicFile file_;
};

// In lower case, because the user may have written it in capitals.
std::string embedding_ending(const std::string& out) {
  std::string ending = std::filesystem::path(out).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return ending;
}

}  // namespace

void check_embedding_name(const std::string& out) {
  const std::string ending = embedding_ending(out);
  check(ending == ".npz" || ending == ".csv", ExitCode::usage,
        "--out {}: embed writes .npz and .csv files; give --out {} or another name with one of these endings",
        out, std::filesystem::path(out).replace_extension(".npz").string());
}

std::unique_ptr<EmbeddingFile> begin_embedding(const std::string& out, const EmbeddingContent& content) {
  if (embedding_ending(out) == ".csv") return std::make_unique<CsvEmbedding>(out, content);
  return std::make_unique<NpzEmbedding>(out, content);
}

}  // namespace kindred
