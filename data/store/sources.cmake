target_sources(phalanx_data PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/aws_profile.cc
  ${CMAKE_CURRENT_LIST_DIR}/aws_signature.cc
  ${CMAKE_CURRENT_LIST_DIR}/fetch_policy.cc
  ${CMAKE_CURRENT_LIST_DIR}/fetch_queue.cc
  ${CMAKE_CURRENT_LIST_DIR}/fetch_tries.cc
  ${CMAKE_CURRENT_LIST_DIR}/fetcher.cc
  ${CMAKE_CURRENT_LIST_DIR}/open_dataset.cc
  ${CMAKE_CURRENT_LIST_DIR}/sha256.cc
  ${CMAKE_CURRENT_LIST_DIR}/shard_cache.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_files.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_request.cc
  ${CMAKE_CURRENT_LIST_DIR}/store_url.cc)
if(PHALANX_HAS_CURL)
  target_sources(phalanx_data PRIVATE ${CMAKE_CURRENT_LIST_DIR}/curl_client.cc)
  target_link_libraries(phalanx_data PRIVATE CURL::libcurl)
else()
  target_sources(phalanx_data PRIVATE ${CMAKE_CURRENT_LIST_DIR}/no_curl_client.cc)
endif()
