using CutoffLen.Hardware;

namespace CutoffLen.Tests.Hardware;

public sealed class HostMemoryTests : IDisposable
{
    private const long Gibibyte = 1L << 30;

    private readonly string group = Directory.CreateTempSubdirectory("cutoff-memory").FullName;

    public void Dispose() => Directory.Delete(group, recursive: true);

    [Fact]
    public void The_machine_s_memory_is_read_in_bytes() =>
        Assert.Equal(
            new HostMemory(24 * Gibibyte, 3 * Gibibyte),
            HostMemory.Parse("MemTotal:       25165824 kB\nMemFree:  1 kB\nMemAvailable:    3145728 kB\n"));

    [Fact]
    public void A_group_s_limit_holds_and_its_file_cache_counts_as_available()
    {
        Write("memory.max", 8 * Gibibyte);
        Write("memory.current", 5 * Gibibyte);
        File.WriteAllText(Path.Combine(group, "memory.stat"), $"anon 1\nfile 9\ninactive_file {Gibibyte}\nactive_file {Gibibyte}\n");
        Assert.Equal(new HostMemory(8 * Gibibyte, 5 * Gibibyte), HostMemory.Within(new(24 * Gibibyte, 20 * Gibibyte), group));
    }

    [Fact]
    public void A_group_of_the_first_version_counts_the_groups_below_it()
    {
        Write("memory.limit_in_bytes", 8 * Gibibyte);
        Write("memory.usage_in_bytes", 6 * Gibibyte);
        File.WriteAllText(Path.Combine(group, "memory.stat"), $"inactive_file 7\nactive_file 7\ntotal_inactive_file {Gibibyte}\ntotal_active_file 0\n");
        Assert.Equal(new HostMemory(8 * Gibibyte, 3 * Gibibyte), HostMemory.Within(new(24 * Gibibyte, 20 * Gibibyte), group));
    }

    [Fact]
    public void A_group_never_gives_more_than_the_machine_has()
    {
        Write("memory.max", 100 * Gibibyte);
        Write("memory.current", Gibibyte);
        var machine = new HostMemory(24 * Gibibyte, 20 * Gibibyte);
        Assert.Equal(machine, HostMemory.Within(machine, group));
    }

    [Fact]
    public void A_group_without_limit_changes_nothing()
    {
        File.WriteAllText(Path.Combine(group, "memory.max"), "max\n");
        Write("memory.current", Gibibyte);
        var machine = new HostMemory(24 * Gibibyte, 20 * Gibibyte);
        Assert.Equal(machine, HostMemory.Within(machine, group));
        Assert.Equal(machine, HostMemory.Within(machine, Path.Combine(group, "absent")));
    }

    [Fact]
    public void This_machine_has_memory()
    {
        var memory = HostMemory.Read();
        Assert.InRange(memory.AvailableBytes, 1, memory.TotalBytes);
    }

    private void Write(string name, long number) => File.WriteAllText(Path.Combine(group, name), $"{number}\n");
}
