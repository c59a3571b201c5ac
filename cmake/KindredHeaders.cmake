# Which headers `cmake --install` copies: kindred.h, and what it includes of Kindred, directly or not. All others are private.
# They are found when they are installed, so that nobody has to configure again who includes one header more.
#
# scripts/check_install.sh counts them, and compiles each of them alone, with nothing else of Kindred installed.

# Sets `result` in the caller's scope to the paths of these headers below the folder `source`.
function(kindred_public_headers result source)
  set(headers kindred.h)
  set(unread kindred.h)
  while(unread)
    list(POP_FRONT unread header)
    file(STRINGS ${source}/${header} lines REGEX "^#include <kindred/")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#include <kindred/([^>]+)>.*" "\\1" included "${line}")
      list(FIND headers ${included} place)
      if(place EQUAL -1)
        list(APPEND headers ${included})
        list(APPEND unread ${included})
      endif()
    endforeach()
  endwhile()
  set(${result} ${headers} PARENT_SCOPE)
endfunction()
