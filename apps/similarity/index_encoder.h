// The encoder of an index: how it is remembered, and found again. What another encoder says about images cannot be compared with
// what the index holds, so it is refused.
#pragma once

#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/similarity/index_file.h>

#include <cstdio>
#include <filesystem>
#include <memory>

namespace kindred {

// What an index remembers of the encoder that `flags` have loaded.
IndexedEncoder indexed_encoder(const EncoderFlags& flags, const FrozenEncoder& frozen);

// Without --encoder and --weights the flags get the encoder of the index. Throws Error(file), which says what to give, if it is
// not there any more.
void take_encoder_of_index(const std::filesystem::path& index, const IndexContent& content,
                           EncoderFlags& flags);

// Loads the encoder, which prepares images as those of the index were. Prints to `out` as EncoderFlags::load() does, and says if
// it was found in another place. Throws Error(file) for an encoder with other values or of another dim, and Error(usage) if the
// flags ask for another preparation.
std::unique_ptr<FrozenEncoder> load_encoder_of_index(const std::filesystem::path& index,
                                                     const IndexContent& content, const EncoderFlags& flags,
                                                     std::FILE* out = stdout);

}  // namespace kindred
