// A count with its noun, for messages: "1 image", "2 images", "3 classes".
#pragma once

#include <fmt/core.h>

#include <concepts>
#include <string>
#include <string_view>

namespace kindred {

// `noun` is the singular. The plural has "es" behind s, x, sh and tch ("class", "batch"), and "s" otherwise ("epoch").
template <std::integral T>
std::string counted(T count, std::string_view noun) {
  const bool hisses =
      noun.ends_with('s') || noun.ends_with('x') || noun.ends_with("sh") || noun.ends_with("tch");
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : hisses ? "es" : "s");
}

}  // namespace kindred
