// Mozilla's AutoConfig: livery.cfg beside the program is run at each start. Not in its sandbox, which only sets preferences.
pref("general.config.filename", "livery.cfg");
pref("general.config.obscure_value", 0);
pref("general.config.sandbox_enabled", false);
