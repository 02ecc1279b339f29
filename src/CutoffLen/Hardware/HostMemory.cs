using System.Globalization;

namespace CutoffLen.Hardware;

/// <summary>Main memory that this process can use, in bytes: the machine's, or less in a control group (a container).</summary>
/// <param name="TotalBytes">The machine's memory or the group's limit.</param>
/// <param name="AvailableBytes">What can be allocated now without swapping.</param>
public sealed record HostMemory(long TotalBytes, long AvailableBytes)
{
    /// <summary>Reads /proc/meminfo and the control groups.</summary>
    public static HostMemory Read() => Groups().Aggregate(Parse(File.ReadAllText("/proc/meminfo")), Within);

    /// <summary>Parses the text of /proc/meminfo, whose numbers are KiB.</summary>
    public static HostMemory Parse(string meminfo) => new(Kibibytes(meminfo, "MemTotal:"), Kibibytes(meminfo, "MemAvailable:"));

    /// <summary>The smaller of <paramref name="memory"/> and what a control group allows; a group without limit changes nothing.</summary>
    /// <param name="memory">Without the group.</param>
    /// <param name="group">A folder with memory.max (version 2) or memory.limit_in_bytes (version 1) and what belongs to it.</param>
    public static HostMemory Within(HostMemory memory, string group)
    {
        if (!(TryNumber(Path.Combine(group, "memory.max"), out var limit) && TryNumber(Path.Combine(group, "memory.current"), out var used))
            && !(TryNumber(Path.Combine(group, "memory.limit_in_bytes"), out limit) && TryNumber(Path.Combine(group, "memory.usage_in_bytes"), out used)))
        {
            return memory;
        }

        return new HostMemory(
            Math.Min(memory.TotalBytes, limit),
            Math.Clamp(limit - used + FileCache(Path.Combine(group, "memory.stat")), 0, memory.AvailableBytes));
    }

    // Cached file pages count as used by the group, but are available. Version 1 also has lines with the prefix total_,
    // which contain the groups below, as the usage does.
    private static long FileCache(string stat)
    {
        var lines = File.Exists(stat) ? File.ReadAllLines(stat) : [];
        var prefix = lines.Any(line => line.StartsWith("total_", StringComparison.Ordinal)) ? "total_" : "";
        return lines
            .Where(line => line.StartsWith($"{prefix}inactive_file ", StringComparison.Ordinal) || line.StartsWith($"{prefix}active_file ", StringComparison.Ordinal))
            .Sum(line => long.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));
    }

    // This process's group and all groups above it, whose limits hold too. Lines read "0::/a/b" or "4:memory:/a/b".
    private static IEnumerable<string> Groups()
    {
        foreach (var line in File.Exists("/proc/self/cgroup") ? File.ReadAllLines("/proc/self/cgroup") : [])
        {
            var parts = line.Split(':', 3);
            if (parts[1] is "" or "memory")
            {
                var root = parts[1] == "" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
                for (var folder = root + parts[2].TrimEnd('/'); folder.Length >= root.Length; folder = Path.GetDirectoryName(folder)!)
                {
                    yield return folder;
                }
            }
        }
    }

    private static long Kibibytes(string meminfo, string key)
    {
        var line = meminfo.Split('\n').First(line => line.StartsWith(key, StringComparison.Ordinal));
        return 1024 * long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture);
    }

    private static bool TryNumber(string file, out long number)
    {
        number = 0; // memory.max holds "max" where there is no limit
        return File.Exists(file) && long.TryParse(File.ReadAllText(file).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}
