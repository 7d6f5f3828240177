# SPDX-License-Identifier: Apache-2.0
"""Files from outside and to disk: whole or refused, sizes checked before memory is taken.

``atomic``
    Files and folders that are whole or not there.
``documents``, ``arrays``, ``coded_images``
    The one way in (and out) of JSON, of NumPy archives, of JPEG and PNG.
``image_limits``
    How large an image may be.
"""
