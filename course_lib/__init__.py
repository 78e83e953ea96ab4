"""The library of the book "Trust Regions: TRPO and PPO from first principles".

Import what you need from its module, for instance ``from course_lib.advantages import gae``. Each
module holds one idea and names the chapter and the equations it belongs to.
"""

__version__ = "0.1.0"
