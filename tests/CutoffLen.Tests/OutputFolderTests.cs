using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tests;

public sealed class OutputFolderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void It_is_made_with_those_above_it_and_may_be_there_already()
    {
        OutputFolder.Create(folder["a/b"]);
        OutputFolder.Create(folder["a/b"]);
        Assert.True(Directory.Exists(folder["a/b"]));
    }

    [Theory]
    [InlineData("file", "is a file; give a folder")]
    [InlineData("file/below", "cannot be made: ")]
    public void What_cannot_be_made_is_named_with_the_reason(string path, string expected)
    {
        folder.Write("file", "kept");
        Assert.StartsWith($"--out {folder[path]}: {expected}", Assert.Throws<UserException>(() => OutputFolder.Create(folder[path])).Message, StringComparison.Ordinal);
        Assert.Equal("kept", File.ReadAllText(folder["file"]));
    }

    public void Dispose() => folder.Dispose();
}
