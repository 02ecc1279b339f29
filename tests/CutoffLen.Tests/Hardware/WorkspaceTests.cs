using CutoffLen.Hardware;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Hardware;

public sealed class WorkspaceTests
{
    [Fact]
    public void The_same_memory_comes_back_under_a_name_while_it_is_large_enough_and_no_other_does()
    {
        using var workspace = new Workspace();
        using var scope = NewDisposeScope();
        var first = workspace.Take("x", ScalarType.Float32, CPU, 4, 6).fill_(3f);
        Assert.Equal([6, 2], workspace.Take("x", ScalarType.Float32, CPU, 6, 2).shape);
        Assert.All(workspace.Take("x", ScalarType.Float32, CPU, 24).data<float>().ToArray(), value => Assert.Equal(3, value));

        workspace.Take("y", ScalarType.Float32, CPU, 24).fill_(4f);
        workspace.Take("x", ScalarType.BFloat16, CPU, 24).fill_(5f);
        Assert.All(first.data<float>().ToArray(), value => Assert.Equal(3, value));
        Assert.Equal((24 * 4) + (24 * 4) + (24 * 2), workspace.Bytes);

        workspace.Take("x", ScalarType.Float32, CPU, 100).fill_(6f);
        Assert.Equal((100 * 4) + (24 * 4) + (24 * 2), workspace.Bytes);
    }
}
