/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: any bytes as a kernel, and the first instructions of what is accepted.
 *
 * The loader must answer 0 or a sentence, touch nothing outside RAM and leave a state that the CPU can run. A kernel whose first byte is
 * FFh (which starts no format) is loaded as raw bytes without it, so that the flat loader is reached too.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/assert.h"
#include "firmware/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine_config config = machine_config_default();
    struct machine *machine;
    struct error err = {.text = ""};

    if (size > 0 && data[0] == 0xff) {
        config.flat = true;
        config.flat_address = config.flat_entry = 0x100000;
        data++;
        size--;
    }
    config.ram_bytes = 4 << 20;
    config.kernel = (struct machine_file){.path = "fuzz", .data = data, .size = size};
    config.append = "a b";
    config.limit_insns = 200;
    int rc = machine_create(&config, &machine, &err);
    if (rc < 0) {
        irq_assert(strncmp(err.text, "fuzz: ", 6) == 0 && strlen(err.text) > 8 && !machine);
        return 0;
    }
    struct machine_kernel_info info;
    machine_get_kernel(machine, &info);
    irq_assert(info.low < info.high && info.entry >= info.low && info.entry < info.high);
    machine_run(machine, NULL);
    machine_reset(machine);
    machine_destroy(machine);
    return 0;
}
