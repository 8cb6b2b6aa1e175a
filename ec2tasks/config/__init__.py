"""The settings of one call: the table of all, the layers that give values, each value with its source.

Other packages use `settings.Settings`, `settings.read_settings` and the table `schema.KEYS`. In order:

    parsers      the forms of values: what a text, a number, a time, a port must look like
    tags         the form of the setting `tags`
    environment  the forms of the setting `env`
    way          the forms of how an instance is reached: via, ssh_from
    schema       the table `KEYS`: each setting's parser, environment variables, default, help
    layers       what a file, .env, the environment and the options give, and how layers are merged
    invoke       what Invoke's configuration gives, and whether it is another tool's
    trust        what a project's own files wish beyond its folder
    trust_store  which of that the user has agreed to
    settings     all layers of one call, read and merged
    json_schema  the JSON Schema of ec2.yaml, made of the table
"""
