#include <kindred/engine/error.h>
#include <kindred/models/choices.h>

namespace kindred {
namespace {

constexpr Named<HeadKind> heads[] = {
    {HeadKind::linear, "linear"}, {HeadKind::mlp, "mlp"}, {HeadKind::none, "none"}};

constexpr Named<BatchNormScope> scopes[] = {{BatchNormScope::micro, "micro"}, {BatchNormScope::full, "full"}};

}  // namespace

const char* name(Stem stem) {
  return name_of(stem_names, stem);
}

Stem parse_stem(const std::string& text) {
  if (const auto stem = value_named(stem_names, text)) return *stem;
  fail(ExitCode::usage, "unknown stem {}: expected {}", text, names_of(stem_names, " or "));
}

Stem default_stem(std::int64_t image_size) {
  return image_size <= 32 ? Stem::cifar : Stem::imagenet;
}

const char* name(HeadKind kind) {
  return name_of(heads, kind);
}

HeadKind parse_head(const std::string& text) {
  if (const auto kind = value_named(heads, text)) return *kind;
  fail(ExitCode::usage, "unknown projection head {}: expected {}", text, names_of(heads, " or "));
}

const char* name(BatchNormScope scope) {
  return name_of(scopes, scope);
}

BatchNormScope parse_batch_norm_scope(const std::string& text) {
  if (const auto scope = value_named(scopes, text)) return *scope;
  fail(ExitCode::usage, "unknown batch norm scope {}: expected {}", text, names_of(scopes, " or "));
}

}  // namespace kindred
