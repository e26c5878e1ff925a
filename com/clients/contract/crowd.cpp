int install_one(); int install_one(){return 1;}
