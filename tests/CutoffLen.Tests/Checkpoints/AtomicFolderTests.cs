using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tests.Checkpoints;

public sealed class AtomicFolderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Target => folder["target"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_folder_is_created_with_its_parents()
    {
        AtomicFolder.Write(folder["a/b/c"], _ => true, staged => File.WriteAllText(Path.Combine(staged, "x"), "1"));
        Assert.Equal("1", File.ReadAllText(folder["a/b/c/x"]));
        Assert.Equal(["c"], Entries(folder["a/b"]));
    }

    [Fact]
    public void A_folder_is_replaced_as_a_whole()
    {
        Write("one");
        AtomicFolder.Write(Target, _ => true, staged =>
        {
            // The old one is whole as long as the new one is being written.
            Assert.Equal("one", File.ReadAllText(Path.Combine(Target, "x")));
            File.WriteAllText(Path.Combine(staged, "y"), "two");
        });
        Assert.Equal(["y"], Entries(Target));
        Assert.Equal(["target"], Entries(folder.Root));
    }

    [Theory]
    [InlineData(typeof(IOException), typeof(UserException))]
    [InlineData(typeof(UnauthorizedAccessException), typeof(UserException))]
    [InlineData(typeof(InvalidOperationException), typeof(InvalidOperationException))]
    public void A_failure_while_writing_leaves_the_old_folder_and_nothing_else(Type thrown, Type seen)
    {
        Write("one");
        var fault = Assert.Throws(seen, () => AtomicFolder.Write(Target, _ => true, staged =>
        {
            File.WriteAllText(Path.Combine(staged, "x"), "half");
            throw (Exception)Activator.CreateInstance(thrown, "no space left")!;
        }));
        Assert.Contains("no space left", fault.Message, StringComparison.Ordinal);
        Assert.Equal("one", File.ReadAllText(Path.Combine(Target, "x")));
        Assert.Equal(["target"], Entries(folder.Root));
    }

    [Fact]
    public void Files_that_are_not_ours_are_never_replaced()
    {
        Write("one");
        File.WriteAllText(Path.Combine(Target, "thesis.tex"), "years of work");
        var fault = Assert.Throws<UserException>(() => AtomicFolder.Write(Target, name => name == "x", _ => { }));
        Assert.Contains("thesis.tex", fault.Message, StringComparison.Ordinal);
        Directory.CreateDirectory(folder["other/inner"]);
        Assert.Contains("inner", Assert.Throws<UserException>(() => AtomicFolder.Write(folder["other"], _ => true, _ => { })).Message, StringComparison.Ordinal);
        folder.Write("file", "");
        Assert.Contains("is a file", Assert.Throws<UserException>(() => AtomicFolder.Write(folder["file"], _ => true, _ => { })).Message, StringComparison.Ordinal);
        Assert.Throws<UserException>(() => AtomicFolder.Write("/", _ => true, _ => { }));
    }

    [Fact]
    public void A_link_to_a_folder_stays_a_link()
    {
        Write("one");
        Directory.CreateSymbolicLink(folder["link"], Target);
        AtomicFolder.Write(folder["link"], _ => true, staged => File.WriteAllText(Path.Combine(staged, "x"), "two"));
        Assert.Equal("two", File.ReadAllText(Path.Combine(Target, "x")));
        Assert.Equal(Target, new DirectoryInfo(folder["link"]).LinkTarget);
    }

    [Fact]
    public void What_a_killed_process_left_is_removed_by_the_next_write()
    {
        folder.Write(".target.saving-999/x", "half");
        folder.Write(".target.lock", "");
        folder.Write(".target2.saving-999/x", "of another folder");
        Write("one");
        Assert.Equal([".target2.saving-999", "target"], Entries(folder.Root));
    }

    [Fact]
    public void Two_writers_of_one_folder_do_not_mix()
    {
        AtomicFolder.Write(Target, _ => true, staged =>
        {
            Assert.Contains("another process", Assert.Throws<UserException>(() => Write("two")).Message, StringComparison.Ordinal);
            File.WriteAllText(Path.Combine(staged, "x"), "one");
        });
        Assert.Equal("one", File.ReadAllText(Path.Combine(Target, "x")));
    }

    [Fact]
    public void Between_the_two_renames_of_other_systems_the_old_folder_is_found()
    {
        folder.Write(".target.previous/x", "one");
        Assert.Equal(folder[".target.previous"], AtomicFolder.InterruptedPrevious(Target));
        Assert.Contains("rename it back", Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(Target)).Message, StringComparison.Ordinal);
        Write("two");
        Assert.Null(AtomicFolder.InterruptedPrevious(Target));
        Assert.Equal(["target"], Entries(folder.Root));
    }

    private void Write(string text) =>
        AtomicFolder.Write(Target, _ => true, staged => File.WriteAllText(Path.Combine(staged, "x"), text));

    private static IEnumerable<string> Entries(string path) =>
        Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry)).Order(StringComparer.Ordinal);
}
