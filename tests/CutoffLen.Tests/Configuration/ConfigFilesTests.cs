using CutoffLen.Configuration;

namespace CutoffLen.Tests.Configuration;

public sealed class ConfigFilesTests
{
    public static TheoryData<string> Files() =>
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "configs"), "*.yaml", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Path.Combine(Repository.Root, "configs"), path)).Order()];

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_file_in_configs_is_understood_under_canonical_names(string name)
    {
        var resolved = RunConfigReader.Resolve(Path.Combine(Repository.Root, "configs", name));
        Assert.NotEmpty(resolved.Given);
        Assert.Empty(resolved.Notes);
    }
}
