end=good
search.Calls=1
download.ResultCode=2
download.Calls=1
download.Completions=1
install.ResultCode=2
install.Calls=1
install.Completions=1
