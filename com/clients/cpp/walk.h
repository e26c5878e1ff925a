// Reads every property of every kind of object that a search leads to, and prints it as facts named after the API's members.
#pragma once

#include <string>

#include "com.h"

// `update.ID.Title=…` and so on, for each update; the order is the collection's.
void walk_updates(IUpdateCollection* updates);
void walk_search_result(ISearchResult* result);
void walk_history(IUpdateHistoryEntryCollection* entries);
void walk_services(IUpdateServiceCollection* services);
void walk_settings(IAutomaticUpdates* automatic);
void walk_system(ISystemInformation* system, IWindowsUpdateAgentInfo* agent);

// The text of an update's id.
std::string id_of(IUpdate* update);
