// A picture that a run draws, as other programs take it: a JPEG file with a text in it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace kindred {

// What the network sees, in the folder of a run (apps/training/run/sheet/views_sheet.h).
inline constexpr const char* views_sheet_name = "views.jpg";
inline constexpr std::size_t most_picture_bytes = 400'000;  // of the file
// Its text begins so. By this it is known from a picture of the user's that has its name.
inline constexpr std::string_view views_sheet_begins = "Images of the training set, and behind each of them ";

struct PictureFile {
  int height = 0, width = 0;
  std::string jpeg{};  // the whole file
  std::string text{};  // as it is in the file, which anyone may have written
};

// The file of libjpeg with the text as its comment, of which at most 60,000 bytes are kept.
std::string with_text(std::string_view jpeg, std::string_view text);

// Returns nullopt if there is no such file, if it is not a JPEG in colour, or if it has more bytes than most_picture_bytes: then
// it is not ours. Only headers are looked at. Links are not followed.
std::optional<PictureFile> read_picture(const std::filesystem::path& file);

// The same, and nullopt if the text is not that of a sheet of views.
std::optional<PictureFile> read_views_sheet(const std::filesystem::path& file);

}  // namespace kindred
