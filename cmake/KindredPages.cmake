# What the build puts into the programs from files: the styles and scripts of pages (apps/pages/assets), Chart.js, which draws
# their charts, and the font of the pictures that programs draw. Chart.js and the font are packages of the system; without
# them pages have tables alone, and pictures a coarse font.
find_file(KINDRED_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist NO_DEFAULT_PATH)
find_file(KINDRED_FONT DejaVuSans.ttf PATHS /usr/share/fonts/truetype/dejavu /usr/share/fonts/dejavu NO_DEFAULT_PATH)

# The assembler copies the bytes; a text between quotes of C++ would take a compiler a second for each megabyte.
set(bytes_in_program "")
function(kindred_bytes symbol file)
  string(APPEND bytes_in_program "asm(R\"(.pushsection .rodata
.balign 16
.globl ${symbol}
${symbol}: .incbin \"${file}\"
${symbol}_end: .byte 0
.popsection)\");
extern \"C\" const unsigned char ${symbol}[], ${symbol}_end[];
")
  set(bytes_in_program "${bytes_in_program}" PARENT_SCOPE)
  set_property(SOURCE ${PROJECT_BINARY_DIR}/shipped_assets.cpp APPEND PROPERTY OBJECT_DEPENDS ${file})
endfunction()

file(GLOB page_assets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/apps/pages/assets/*.css
     ${PROJECT_SOURCE_DIR}/apps/pages/assets/*.js)
set(asset_table "")
if(KINDRED_CHART_JS)
  list(APPEND page_assets ${KINDRED_CHART_JS})
else()
  message(STATUS "Without Chart.js (libjs-chart.js): pages have tables and no charts")
endif()
foreach(file IN LISTS page_assets)
  cmake_path(GET file FILENAME name)
  if(file STREQUAL "${KINDRED_CHART_JS}")
    set(name chart.js)
  endif()
  string(MAKE_C_IDENTIFIER "kindred_asset_${name}" symbol)
  kindred_bytes(${symbol} ${file})
  string(APPEND asset_table "    {\"${name}\", {reinterpret_cast<const char*>(${symbol}), static_cast<std::size_t>(${symbol}_end - ${symbol})}},\n")
endforeach()
if(KINDRED_FONT)
  kindred_bytes(kindred_font ${KINDRED_FONT})
  string(APPEND bytes_in_program "extern \"C\" { extern const unsigned long kindred_font_size; }
const unsigned long kindred_font_size = static_cast<unsigned long>(kindred_font_end - kindred_font);
")
  set(font_source ${PROJECT_SOURCE_DIR}/third_party/stb/font.cpp)
else()
  message(STATUS "Without DejaVuSans.ttf (fonts-dejavu-core): pictures get a coarse font")
  set(font_source ${PROJECT_SOURCE_DIR}/third_party/stb/font_missing.cpp)
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/shipped_assets.cpp CONTENT
"#include <kindred/apps/pages/shipped_assets.h>
${bytes_in_program}
namespace kindred {
const std::vector<ShippedAsset> shipped_assets = {
${asset_table}};
}
")
target_sources(kindred_apps PRIVATE ${PROJECT_BINARY_DIR}/shipped_assets.cpp ${font_source})
target_include_directories(kindred_apps SYSTEM PRIVATE ${KINDRED_STB_INCLUDE})
