"""Which packages a command needs, as the project's files and what is active here say; pure but for reading.

Other packages use `request.environment_request`, whose answer `remote/environment.py` sends as data; what
stands in a file never becomes part of a shell's words. In order:

    pyproject  what of pyproject.toml counts
    files      what stands in the project, as a Source
    here       the versions that are installed here
    request    what is asked of the instance: a Source with constraints, and the key that names its result
    said       the lines that a run, its plan and `ec2tasks env` say
"""
